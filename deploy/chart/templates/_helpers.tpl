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
  "role-arn" $v.identity.roleArn
  "role-session-name" $v.identity.roleSessionName
  "role-session-expiration" $v.identity.roleSessionExpiration
  "ecs-role-name" $v.identity.ecsRoleName
  "oidc-provider-arn" $v.oidcProviderArn
  "account-id" $v.rrsa.accountId
  "cluster-id" $v.rrsa.clusterId
  "oidc-token-file" (ternary "/var/run/secrets/rrsa/token" "" $v.rrsa.enable)
  "service-account-lookup" (ternary "" "false" $v.serviceAccountLookup)
  "region" $v.regionId
  "public-endpoints" $v.endpoints.public
  "sts-endpoint" $v.endpoints.sts
  "kms-endpoint" $v.endpoints.kms
  "oos-endpoint" $v.endpoints.oos
  "allowed-endpoints" (join "," $v.endpoints.allowed)
  "resolve" (join "," $v.endpoints.resolve)
  "metadata-endpoint" $v.endpoints.metadata
  "ca-file" (include "provider.caVolume" $v.caFile | empty | ternary "" "/etc/provider/ca/ca.pem")
  "kms-ca-file" (include "provider.caVolume" $v.kmsCaFile | empty | ternary "" "/etc/provider/kms-ca/ca.pem")
  "max-concurrent-kms-secret-pulls" $v.maxConcurrentKmsSecretPulls
  "max-concurrent-oos-secret-pulls" $v.maxConcurrentOosSecretPulls
  "healthz-address" $v.linux.healthzAddress
  "healthz-port" $v.linux.healthzPort
  "healthz-path" $v.linux.healthzPath
  "metrics" (ternary "" "false" $v.linux.metrics)
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
