{{/* Values that the program would refuse or that could serve nobody: all of them, in words. */}}
{{- define "provider.check" -}}
{{- $mistakes := include "provider.mistakes" . | trimAll "\n" }}
{{- if $mistakes }}
{{- fail (printf "\n\nThe values are wrong:\n%s\n" $mistakes) }}
{{- end }}
{{- end }}

{{/* Whether a setting comes by extraArgs or from a Secret. Arguments: root, flag, variables. */}}
{{- define "provider.given" -}}
{{- range .root.Values.extraArgs }}
{{- if hasPrefix (printf "--%s=" $.flag) . }}given{{ end }}
{{- end }}
{{- range append .variables (printf "ALIBABACLOUD_PROVIDER_%s" (.flag | upper | replace "-" "_")) }}
{{- if hasKey ($.root.Values.envVarsFromSecret | default dict) . }}given{{ end }}
{{- end }}
{{- end }}

{{- define "provider.hasArn" -}}
{{- .Values.oidcProviderArn | default "" }}
{{- include "provider.given" (dict "root" . "flag" "oidc-provider-arn" "variables" (list "ALICLOUD_OIDC_PROVIDER_ARN" "ALIBABA_CLOUD_OIDC_PROVIDER_ARN")) }}
{{- end }}

{{- define "provider.hasAccount" -}}
{{- .Values.rrsa.accountId | default "" }}
{{- include "provider.given" (dict "root" . "flag" "account-id" "variables" (list "ALICLOUD_ACCOUNT_ID")) }}
{{- end }}

{{- define "provider.hasCluster" -}}
{{- .Values.rrsa.clusterId | default "" }}
{{- include "provider.given" (dict "root" . "flag" "cluster-id" "variables" (list "ALICLOUD_CLUSTER_ID")) }}
{{- end }}

{{- define "provider.hasOidc" -}}
{{- if or (include "provider.hasArn" .) (and (include "provider.hasAccount" .) (include "provider.hasCluster" .)) }}yes{{ end }}
{{- end }}

{{- define "provider.mistakes" -}}
{{- $v := .Values }}
{{- range $name := list "accountId" "clusterId" }}
{{- $value := get $v.rrsa $name }}
{{- if not (or (kindIs "string" $value) (kindIs "invalid" $value)) }}
  - rrsa.{{ $name }} is a number, and long numbers are rounded: quote it ({{ $name }}: "..." in a file, or --set-string)
{{- end }}
{{- end }}
{{- if contains "__" ($v.regionId | default "") }}
  - regionId is the placeholder {{ $v.regionId }}: write the cluster's region, such as cn-hangzhou
{{- end }}
{{- $image := $v.linux.image.repository | default "" }}
{{- if contains "__" $image }}
  - linux.image.repository holds a placeholder, {{ $image }}: write where you pushed this project's image
{{- else if regexMatch "aliyuncs\\.com/acs/csi-secrets-store-provider-alibabacloud$" $image }}
  - linux.image.repository is the official provider's image, which has other flags: write where you pushed this project's image
{{- end }}
{{- $hasOidc := include "provider.hasOidc" . }}
{{- $hasAccount := include "provider.hasAccount" . }}
{{- $half := and (not $hasOidc) (or $hasAccount (include "provider.hasCluster" .)) }}
{{- if $half }}
  - {{ ternary "rrsa.accountId is set and rrsa.clusterId" "rrsa.clusterId is set and rrsa.accountId" (not (empty $hasAccount)) }} is not: set both, or oidcProviderArn
{{- end }}
{{- $role := or $v.identity.roleArn (include "provider.given" (dict "root" . "flag" "role-arn" "variables" (list "ALICLOUD_ROLE_ARN" "ALIBABA_CLOUD_ROLE_ARN"))) }}
{{- $token := or $v.rrsa.enable (include "provider.given" (dict "root" . "flag" "oidc-token-file" "variables" (list "ALICLOUD_OIDC_TOKEN_FILE" "ALIBABA_CLOUD_OIDC_TOKEN_FILE"))) }}
{{- $env := $v.envVarsFromSecret | default dict }}
{{- $id := or (hasKey $env "ACCESS_KEY_ID") (hasKey $env "ALIBABA_CLOUD_ACCESS_KEY_ID") }}
{{- $secret := or (hasKey $env "SECRET_ACCESS_KEY") (hasKey $env "ALIBABA_CLOUD_ACCESS_KEY_SECRET") }}
{{- $oidcLack := ternary "" "oidcProviderArn, or rrsa.accountId and rrsa.clusterId" (not (empty $hasOidc)) }}
{{- $roleLack := ternary "" "identity.roleArn" (not (empty $role)) }}
{{- $tokenLack := ternary "" "rrsa.enable" (not (empty $token)) }}
{{- $keysLack := ternary "" "ACCESS_KEY_ID and SECRET_ACCESS_KEY in envVarsFromSecret" (and $id $secret) }}
{{- $default := $v.identity.default | default "pod" }}
{{- $lacks := get (dict
  "pod" (list $oidcLack)
  "provider" (list $oidcLack $roleLack $tokenLack)
  "ram-role" (list $keysLack $roleLack)
  "access-key" (list $keysLack)
) $default | default list | compact }}
{{- if and $lacks (not $half) }}
  - identity {{ $default }}, the default, cannot be used: it needs {{ join "; and " $lacks }}. Set that, or choose another identity.default
{{- end }}
{{- $allowed := $v.identity.allowed | default list }}
{{- if and (eq $default "auto") (not (without $allowed "pod")) }}
  - identity.default is auto, which never chooses pod: identity.allowed must list what it may choose
{{- else if and $allowed (ne $default "auto") (not (has $default $allowed)) }}
  - identity.default is {{ $default }}, which identity.allowed does not have: add it there, or choose another default
{{- end }}
{{- $path := $v.linux.healthzPath | default "/healthz" }}
{{- if or (has $path (list "/readyz" "/metrics")) (hasPrefix "/debug/" $path) (not (regexMatch "^/[A-Za-z0-9/._~-]*$" $path)) }}
  - linux.healthzPath must be a path such as /healthz, of letters, digits and / . _ ~ -, and neither /readyz nor /metrics nor below /debug/, which are served beside it
{{- end }}
{{- if and $v.podMonitor.enabled (not $v.linux.metrics) }}
  - podMonitor.enabled needs linux.metrics, which is false
{{- end }}
{{- range splitList "," ($v.logLevel | default "info") }}
{{- $word := splitList "=" . | last | trim }}
{{- if not (has (lower $word) (list "error" "warn" "info" "debug" "trace" "off")) }}
  - logLevel: {{ $word | quote }} is not one of error, warn, info, debug, trace, off, nor TARGET=LEVEL such as provider=debug{{ eq (lower $word) "warning" | ternary "; did you mean warn?" "" }}
{{- end }}
{{- end }}
{{- $seconds := dict }}
{{- range $name := list "refreshInterval" "minRefreshInterval" "maxRefreshInterval" "staleWhileThrottled" "outageGrace" }}
{{- $text := get $v $name | default "0" }}
{{- $unit := get (dict "s" 1 "m" 60 "h" 3600) (regexFind "[smh]$" $text) | default 0 }}
{{- $_ := set $seconds $name (mul (regexFind "^[0-9]+" $text | int64) $unit) }}
{{- if gt (get $seconds $name) 86400 }}
  - {{ $name }} is {{ $text }}, and 24h is the most
{{- end }}
{{- end }}
{{- range $name := list "refreshInterval" "minRefreshInterval" }}
{{- if and $v.maxRefreshInterval (lt $seconds.maxRefreshInterval (get $seconds $name)) }}
  - maxRefreshInterval is less than {{ $name }}
{{- end }}
{{- end }}
{{- if and $seconds.outageGrace (not (kindIs "invalid" $v.valueCacheMiB)) (eq (int64 $v.valueCacheMiB) 0) }}
  - outageGrace needs cached values, and valueCacheMiB is 0
{{- end }}
{{- with $v.linux.updateStrategy }}
{{- if eq (.type | default "RollingUpdate") "RollingUpdate" }}
{{- $surge := dig "rollingUpdate" "maxSurge" 0 . | toString }}
{{- $unavailable := dig "rollingUpdate" "maxUnavailable" 1 . | toString }}
{{- if eq (has $surge (list "0" "0%")) (has $unavailable (list "0" "0%")) }}
  - linux.updateStrategy.rollingUpdate: maxSurge is {{ $surge }} and maxUnavailable {{ $unavailable }}; Kubernetes wants exactly one of them above 0: set the other to 0
{{- end }}
{{- end }}
{{- end }}
{{- $flags := include "provider.flags" . }}
{{- range $v.extraArgs }}
{{- $flag := splitList "=" . | first }}
{{- if contains (printf "\"%s=" $flag) $flags }}
  - extraArgs: {{ $flag }} is set by a value of the chart already: change that value
{{- end }}
{{- end }}
{{- end }}
