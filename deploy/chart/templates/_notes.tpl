{{/* A template of its own, so that it can be read without a cluster. */}}
{{- define "provider.notes" -}}
The provider runs on every Linux node, and serves SecretProviderClasses with provider: alibabacloud.
{{- $driver := (include "provider.officialDriver" . | fromJson).objects }}
{{- if $driver }}

{{ len $driver }} objects of the Secrets Store CSI Driver, which the official chart made in this release, are as they were and stay, also if the release is uninstalled. docs/official-chart.md says how they get a release of their own, and the settings that they need.
{{- else }}
It needs the Secrets Store CSI Driver, from the driver's own chart with this project's deploy/driver-values.yaml.
{{- end }}
{{- $dead := include "provider.officialValues" . | trim }}
{{- if $dead }}

These values of the official chart do nothing here; remove them:
{{ $dead }}
{{- end }}
{{- $folder := .Values.linux.providersDir }}
{{- $before := $folder }}
{{- if .Release.IsUpgrade }}
{{- range dig "spec" "template" "spec" "volumes" list (lookup "apps/v1" "DaemonSet" .Release.Namespace (include "provider.fullname" .)) }}
{{- if eq .name "providers" }}
{{- $before = .hostPath.path }}
{{- end }}
{{- end }}
{{- end }}
{{- /* The driver's own defaults. */}}
{{- if not (has $folder (list "/var/run/secrets-store-csi-providers" "/etc/kubernetes/secrets-store-csi-providers")) }}

The driver must look for providers in {{ $folder }}: add it to linux.additionalProvidersDirs of the driver's chart.
{{- end }}
{{- if ne $folder $before }}

The folder for sockets was {{ $before }}. A driver that called the provider there waits for it there, and nothing is mounted, until it is restarted: kubectl rollout restart daemonset -n NAMESPACE DRIVER
{{- end }}
{{- if not (contains "/" .Values.linux.image.repository) }}

linux.image.repository names no registry: nodes that do not hold the image already cannot pull it.
{{- end }}
{{- if and .Values.linux.hostNetwork .Values.networkPolicy.enabled }}

With linux.hostNetwork the NetworkPolicy has no effect: port {{ .Values.linux.healthzPort }}{{ ternary ", metrics included," "" .Values.linux.metrics }} is one of the node.
{{- end }}
{{- if and .Values.linux.image.tag (not .Values.linux.image.digest) (ne (toString .Values.linux.image.tag) .Chart.AppVersion) }}

linux.image.tag is {{ .Values.linux.image.tag }}; this chart is made for {{ .Chart.AppVersion }}.
{{- end }}
{{- if not (include "provider.hasOidc" .) }}

The cluster's OIDC provider is not known: identities "pod" and "provider" cannot be used until oidcProviderArn, or
rrsa.accountId and rrsa.clusterId, is set.
{{- end }}
{{- if and .Values.rrsa.enable (not (has "provider" (append .Values.identity.allowed .Values.identity.default))) }}

rrsa.enable gives the provider a token of its own, which nobody may use before identity.default is "provider" or identity.allowed has it.
{{- end }}
{{- end }}
