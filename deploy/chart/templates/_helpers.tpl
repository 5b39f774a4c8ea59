{{- define "provider.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "provider.fullname" -}}
{{- $name := include "provider.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "provider.selectorLabels" -}}
app.kubernetes.io/name: {{ include "provider.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "provider.labels" -}}
{{ include "provider.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* All of a pod's labels: what the DaemonSet selects by, and what the values add. */}}
{{- define "provider.podLabels" -}}
{{- $labels := dict }}
{{- range list .Values.commonLabels .Values.linux.podLabels (include "provider.selectorLabels" . | fromYaml) (include "provider.selector" . | fromYaml).matchLabels }}
{{- range $name, $value := . }}
{{- $_ := set $labels $name $value }}
{{- end }}
{{- end }}
{{- range $name := list "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{ $name }}: {{ get $labels $name }}
{{- end }}
{{- with omit $labels "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "provider.podAnnotations" -}}
{{- $annotations := dict }}
{{- if .Values.linux.scrapeAnnotations }}
{{- $annotations = dict "prometheus.io/scrape" "true" "prometheus.io/port" (toString .Values.linux.healthzPort) "prometheus.io/path" "/metrics" }}
{{- end }}
{{- with .Values.identity.namespaceRules }}
{{- $_ := set $annotations "checksum/namespace-rules" (toJson . | sha256sum) }}
{{- end }}
{{- with merge dict .Values.linux.podAnnotations $annotations }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* What Prometheus calls the provider, by a PodMonitor or a ServiceMonitor: the alerts are about it. */}}
{{- define "provider.job" -}}
{{ .Release.Namespace }}/{{ include "provider.fullname" . }}
{{- end }}

{{- define "provider.image" -}}
{{- with .Values.linux.image }}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Flags whose values are empty, zero or false are left out: the program's defaults are the same. */}}
{{- define "provider.flags" -}}
{{- $v := .Values }}
{{- $flags := dict
  "provider-volume" "/provider"
  "mount-timeout" $v.mountTimeout
  "refresh-interval" $v.refreshInterval
  "min-refresh-interval" $v.minRefreshInterval
  "max-refresh-interval" $v.maxRefreshInterval
  "share" $v.share
  "kms-batch" $v.kmsBatch
  "value-cache-mib" (ternary "" (toString $v.valueCacheMiB) (kindIs "invalid" $v.valueCacheMiB))
  "stale-while-throttled" $v.staleWhileThrottled
  "outage-grace" $v.outageGrace
  "audit" (get (dict "stdout" "stdout" "file" "/audit/audit.log") $v.audit.to)
  "audit-failure" $v.audit.failure
  "audit-max-mib" $v.audit.maxMiB
  "audit-files" $v.audit.files
  "audit-key-file" (empty $v.audit.key.secret | ternary "" "/etc/provider/audit/key")
  "drain-timeout" $v.drainTimeout
  "lock-memory" (ternary "true" "" $v.lockMemory)
  "sandbox" $v.sandbox
  "allowed-identities" (join "," $v.identity.allowed)
  "default-identity" $v.identity.default
  "allowed-cross-account-roles" (join "," $v.identity.crossAccountRoles)
  "namespace-rules" (empty $v.identity.namespaceRules | ternary "" "/etc/provider/rules/rules.yaml")
  "role-arn" $v.identity.roleArn
  "role-session-name" $v.identity.roleSessionName
  "role-session-expiration" $v.identity.roleSessionExpiration
  "ecs-role-name" $v.identity.ecsRoleName
  "oidc-provider-arn" $v.oidcProviderArn
  "account-id" $v.rrsa.accountId
  "cluster-id" $v.rrsa.clusterId
  "oidc-token-file" (ternary "/var/run/secrets/rrsa/token" "" $v.rrsa.enable)
  "service-account-lookup" (ternary "" "false" $v.serviceAccountLookup)
  "remove-startup-taint" (ternary $v.startupTaint.key "" $v.startupTaint.remove)
  "region" $v.regionId
  "public-endpoints" $v.endpoints.public
  "sts-endpoint" $v.endpoints.sts
  "kms-endpoint" $v.endpoints.kms
  "oos-endpoint" $v.endpoints.oos
  "allowed-endpoints" (join "," $v.endpoints.allowed)
  "resolve" (join "," $v.endpoints.resolve)
  "user-agent" $v.endpoints.userAgent
  "https-proxy" $v.proxy.url
  "no-proxy" (join "," $v.proxy.except)
  "proxy-vpc-endpoints" $v.proxy.vpcEndpoints
  "metadata-endpoint" $v.endpoints.metadata
  "ca-file" (include "provider.caVolume" $v.caFile | empty | ternary "" "/etc/provider/ca/ca.pem")
  "kms-ca-file" (include "provider.caVolume" $v.kmsCaFile | empty | ternary "" "/etc/provider/kms-ca/ca.pem")
  "max-concurrent-kms-secret-pulls" $v.maxConcurrentKmsSecretPulls
  "max-concurrent-oos-secret-pulls" $v.maxConcurrentOosSecretPulls
  "healthz-address" $v.linux.healthzAddress
  "healthz-port" $v.linux.healthzPort
  "healthz-path" $v.linux.healthzPath
  "metrics" (ternary "" "false" $v.linux.metrics)
  "events" (ternary $v.events.after "" $v.events.enabled)
  "log-level" $v.logLevel
  "log-format" (ternary "json" "" $v.logFormatJSON)
}}
{{- range $flag, $value := $flags }}
{{- if $value }}
- {{ printf "--%s=%v" $flag $value | quote }}
{{- end }}
{{- end }}
{{- end }}

{{- define "provider.args" -}}
{{- include "provider.flags" . }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* Whether anything is asked of the API server. */}}
{{- define "provider.asksApiServer" -}}
{{- if or .Values.serviceAccountLookup .Values.startupTaint.remove .Values.events.enabled }}yes{{ end }}
{{- end }}

{{/* A pod that is to remove a taint has to start in spite of it. */}}
{{- define "provider.tolerations" -}}
{{- $all := .Values.linux.tolerations | default list }}
{{- if .Values.startupTaint.remove }}
{{- $all = append $all (dict "key" .Values.startupTaint.key "operator" "Exists") }}
{{- end }}
{{- with $all }}
{{- toYaml . }}
{{- end }}
{{- end }}

{{/* What NetworkPolicy has to open for the proxy. */}}
{{- define "provider.proxyPort" -}}
{{- with .Values.proxy }}
{{- if .url }}
{{- regexFind ":[0-9]+/?$" .url | trimPrefix ":" | trimSuffix "/" | default "80" }}
{{- else if .secret }}
{{- .port }}
{{- end }}
{{- end }}
{{- end }}

{{/* The source of a file of certificates, or nothing. */}}
{{- define "provider.caVolume" -}}
{{- if .configMap }}
configMap:
  name: {{ .configMap }}
{{- else if .secret }}
secret:
  secretName: {{ .secret }}
{{- end }}
{{- if or .configMap .secret }}
  items:
    - key: {{ .key }}
      path: ca.pem
{{- end }}
{{- end }}

{{/* A probe's times. */}}
{{- define "provider.probe" -}}
{{- range $name := list "periodSeconds" "timeoutSeconds" "failureThreshold" "initialDelaySeconds" "successThreshold" "terminationGracePeriodSeconds" }}
{{- $value := get $ $name }}
{{- if or $value (eq (toString $value) "0") }}
{{ $name }}: {{ $value }}
{{- end }}
{{- end }}
{{- end }}

{{/* The container's: Kubernetes refuses a privileged one that may not gain privileges, and lockMemory needs a capability. */}}
{{- define "provider.securityContext" -}}
{{- $set := .Values.linux.securityContext }}
{{- $capabilities := $set.capabilities | default dict }}
allowPrivilegeEscalation: {{ or $set.privileged $set.allowPrivilegeEscalation | default false }}
readOnlyRootFilesystem: {{ $set.readOnlyRootFilesystem }}
capabilities:
  drop: [{{ join ", " $capabilities.drop }}]
  {{- with concat ($capabilities.add | default list) (ternary (list "IPC_LOCK") list .Values.lockMemory) | uniq }}
  add: [{{ join ", " . }}]
  {{- end }}
{{- with omit $set "allowPrivilegeEscalation" "readOnlyRootFilesystem" "capabilities" }}
{{ toYaml . }}
{{- end }}
{{- end }}
