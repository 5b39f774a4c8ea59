{{/* What comes from the official chart: values that a file of its users has, and the objects of a release that it made. */}}

{{/* Values that mean something there, and would do harm or nothing here, in words. */}}
{{- define "provider.officialMistakes" -}}
{{- $linux := .Values.linux }}
{{- if and (hasKey $linux "enabled") (not $linux.enabled) }}
  - linux.enabled is false, and this chart has nothing but the provider for Linux: uninstall the release, or remove the value
{{- end }}
{{- range $name := keys (.Values.envVarsFromSecret | default dict) | sortAlpha }}
{{- if not (regexMatch "^(ACCESS_KEY_ID|SECRET_ACCESS_KEY|(ALICLOUD|ALIBABA_CLOUD|ALIBABACLOUD_PROVIDER)_[A-Z0-9_]+)$" $name) }}
  - envVarsFromSecret.{{ $name }} is a variable that the program does not read: it reads ACCESS_KEY_ID, SECRET_ACCESS_KEY and names that begin with ALICLOUD_ or ALIBABA_CLOUD_; remove it
{{- end }}
{{- end }}
{{- end }}

{{/* Lines about the official chart's values that do nothing here. */}}
{{- define "provider.officialValues" -}}
{{- $linux := .Values.linux }}
{{- if hasKey .Values "logVerbosity" }}
- logVerbosity: klog's numbers are no levels. Set logLevel to error, warn, info, debug or trace
{{- end }}
{{- if hasKey $linux "enabled" }}
- linux.enabled: there is nothing else in this chart. To have no provider, uninstall the release
{{- end }}
{{- if hasKey $linux "healthzTimeout" }}
- linux.healthzTimeout: the check gives up after 5 s; what the probes wait is linux.livenessProbe.timeoutSeconds
{{- end }}
{{- if hasKey $linux "kubeletRootDir" }}
- linux.kubeletRootDir: nothing of kubelet's is mounted. A driver needs it: linux.kubeletRootDir of the driver's own chart
{{- end }}
{{- with get .Values "secrets-store-csi-driver" }}
{{- range $name := keys . | sortAlpha }}
- secrets-store-csi-driver.{{ $name }}: {{ eq $name "install" | ternary "this chart has no driver. One that the release has stays; another comes from the driver's own chart" (printf "set %s of the driver's own chart" $name) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The selector of the DaemonSet, which Kubernetes does not let change: the one that the release's DaemonSet has, whoever
made it. helm template cannot ask the cluster and takes what compatibility.selector says, or this chart's own.
*/}}
{{- define "provider.selector" -}}
{{- $wanted := .Values.compatibility.selector }}
{{- $found := dict }}
{{- if and (eq $wanted "auto") .Release.IsUpgrade }}
{{- $found = dig "spec" "selector" dict (lookup "apps/v1" "DaemonSet" .Release.Namespace (include "provider.fullname" .)) }}
{{- end }}
{{- if $found }}
{{- toYaml $found }}
{{- else if eq $wanted "official" }}
matchLabels:
  app: csi-secrets-store-provider-alibabacloud
{{- else }}
matchLabels:
  {{- include "provider.selectorLabels" . | nindent 2 }}
{{- end }}
{{- end }}

{{/*
Objects of the driver that the official chart installed as a part of this release, as they are in the cluster. Helm
would delete them since this chart does not have them: so it has them, marked to stay whatever becomes of the release.
They are found by the label of the driver's chart and Helm's annotations; one that was given to another release is none.
A release whose DaemonSet has this chart's own selector has no such objects, and its upgrades need no right to list any.
*/}}
{{- define "provider.officialDriver" -}}
{{- $found := list }}
{{- $live := dig "spec" "selector" "matchLabels" dict (lookup "apps/v1" "DaemonSet" .Release.Namespace (include "provider.fullname" .)) }}
{{- if and .Release.IsUpgrade (not (hasKey $live "app.kubernetes.io/name")) }}
{{- $release := .Release }}
{{- range $kind := list
  (dict "api" "apps/v1" "kind" "DaemonSet" "namespace" $release.Namespace)
  (dict "api" "v1" "kind" "ServiceAccount" "namespace" $release.Namespace)
  (dict "api" "rbac.authorization.k8s.io/v1" "kind" "ClusterRole" "namespace" "")
  (dict "api" "rbac.authorization.k8s.io/v1" "kind" "ClusterRoleBinding" "namespace" "")
  (dict "api" "storage.k8s.io/v1" "kind" "CSIDriver" "namespace" "")
}}
{{- /* Without the driver's DaemonSet there is nothing else of it. */}}
{{- if or $found (eq $kind.kind "DaemonSet") }}
{{- range $object := dig "items" list (lookup $kind.api $kind.kind $kind.namespace "") }}
{{- $meta := $object.metadata }}
{{- $notes := $meta.annotations | default dict }}
{{- $ours := and (eq (get $notes "meta.helm.sh/release-name") $release.Name) (eq (get $notes "meta.helm.sh/release-namespace") $release.Namespace) }}
{{- if and $ours (hasPrefix "secrets-store-csi-driver-" (dig "labels" "helm.sh/chart" "" $meta)) }}
{{- $kept := omit $notes "kubectl.kubernetes.io/last-applied-configuration" "deprecated.daemonset.template.generation" }}
{{- $_ := set $kept "helm.sh/resource-policy" "keep" }}
{{- $new := dict "name" $meta.name "labels" $meta.labels "annotations" $kept }}
{{- if $kind.namespace }}{{ $_ := set $new "namespace" $meta.namespace }}{{ end }}
{{- $object = omit $object "status" "metadata" }}
{{- $_ := set $object "metadata" $new }}
{{- $_ := set $object "apiVersion" $kind.api }}
{{- $_ := set $object "kind" $kind.kind }}
{{- $found = append $found $object }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- dict "objects" $found | toJson }}
{{- end }}
