{{/* Values that the program would refuse or that could serve nobody: all of them, in words. */}}
{{- define "provider.check" -}}
{{- if not (hasKey .Values "identity") }}
{{- fail "\n\nThe chart's own defaults are missing, as with --reuse-values, which keeps those of the release's last chart: use --reset-then-reuse-values, or --values with your file\n" }}
{{- end }}
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
{{- else if contains "__" ($value | default "") }}
  - rrsa.{{ $name }} is the placeholder {{ $value }}: write the {{ ternary "account's" "cluster's" (eq $name "accountId") }} id
{{- else if regexMatch "^[0-9.]+[eE][+]?[0-9]+$" ($value | default "") }}
  - rrsa.{{ $name }} is {{ $value }}, a rounded number: write all of its digits, and quote it ({{ $name }}: "..." in a file, or --set-string)
{{- else if not (regexMatch (ternary "^[0-9]*$" "^[A-Za-z0-9]*$" (eq $name "accountId")) ($value | default "")) }}
  - rrsa.{{ $name }} is {{ $value | quote }}: an id has {{ ternary "digits" "letters and digits" (eq $name "accountId") }} only
{{- end }}
{{- end }}
{{- include "provider.officialMistakes" . }}
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
{{- $scrapes := dict "podMonitor.enabled" $v.podMonitor.enabled "serviceMonitor.enabled" $v.serviceMonitor.enabled "linux.scrapeAnnotations" $v.linux.scrapeAnnotations }}
{{- $scraping := list }}
{{- range $name := list "podMonitor.enabled" "serviceMonitor.enabled" "linux.scrapeAnnotations" }}
{{- if get $scrapes $name }}
{{- $scraping = append $scraping $name }}
{{- if not $v.linux.metrics }}
  - {{ $name }} needs linux.metrics, which is false
{{- end }}
{{- end }}
{{- end }}
{{- if gt (len $scraping) 1 }}
  - {{ join " and " $scraping }}: each has the same metrics read; choose one
{{- end }}
{{- range $where, $labels := dict "commonLabels" $v.commonLabels "linux.labels" $v.linux.labels "linux.podLabels" $v.linux.podLabels "serviceAccount.labels" $v.serviceAccount.labels "podMonitor.labels" $v.podMonitor.labels "serviceMonitor.labels" $v.serviceMonitor.labels "prometheusRule.labels" $v.prometheusRule.labels "grafanaDashboard.labels" $v.grafanaDashboard.labels }}
{{- $own := list "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{- if ne $where "linux.podLabels" }}
{{- $own = concat $own (list "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart") }}
{{- end }}
{{- range $label := keys ($labels | default dict) | sortAlpha }}
{{- if has $label $own }}
  - {{ $where }}: {{ $label }} is set by the chart; remove it, or use nameOverride
{{- else if and (eq $label "app") (eq $v.compatibility.selector "official") (ne (get $labels $label) "csi-secrets-store-provider-alibabacloud") }}
  - {{ $where }}: app is what compatibility.selector selects by: remove it
{{- else if and (ne $where "commonLabels") (hasKey ($v.commonLabels | default dict) $label) (ne $where "linux.podLabels") }}
  - {{ $where }}: {{ $label }} is in commonLabels already: keep one
{{- end }}
{{- end }}
{{- end }}
{{- if regexMatch "^node(-role|\\.cloudprovider)?\\.kubernetes\\.io/" ($v.startupTaint.key | default "") }}
  - startupTaint.key is {{ $v.startupTaint.key }}, Kubernetes' own taint, which a provider must not remove
{{- end }}
{{- if and $v.proxy.url $v.proxy.secret }}
  - proxy.url and proxy.secret: keep one
{{- end }}
{{- if and (or $v.proxy.url $v.proxy.secret) (not $v.endpoints.public) (not $v.proxy.vpcEndpoints) (not $v.endpoints.sts) (not $v.endpoints.kms) (not $v.endpoints.oos) }}
  - proxy: no host is called through it, since those inside the VPC are called directly; set endpoints.public, or proxy.vpcEndpoints
{{- end }}
{{- $own := concat (list "NODE_NAME") (keys ($v.envVarsFromSecret | default dict)) }}
{{- range $v.extraEnv }}
{{- if has .name $own }}
  - extraEnv: {{ .name }} is set by {{ ternary "the chart" "envVarsFromSecret" (eq .name "NODE_NAME") }} already
{{- end }}
{{- end }}
{{- range $name := list "runAsUser" "runAsGroup" "runAsNonRoot" }}
{{- if hasKey ($v.linux.podSecurityContext | default dict) $name }}
  - linux.podSecurityContext.{{ $name }}: set linux.runAsUser, which all three follow
{{- end }}
{{- if hasKey ($v.linux.securityContext | default dict) $name }}
  - linux.securityContext.{{ $name }}: set linux.runAsUser, which all three follow
{{- end }}
{{- end }}
{{- if and $v.linux.hostNetwork (eq (toString $v.linux.hostUsers) "false") }}
  - linux.hostUsers is false, which Kubernetes refuses beside linux.hostNetwork
{{- end }}
{{- if and $v.linux.terminationGracePeriodSeconds (le (int $v.linux.terminationGracePeriodSeconds) (int $v.drainTimeout)) }}
  - linux.terminationGracePeriodSeconds is {{ $v.linux.terminationGracePeriodSeconds }}: mounts that are being drained for drainTimeout, {{ $v.drainTimeout }} s, would be killed; make it longer
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
{{- else if and $v.linux.hostNetwork (not (has $surge (list "0" "0%"))) }}
  - linux.hostNetwork: two pods cannot have one port of a node, so a second one beside the first would wait for ever: set linux.updateStrategy.rollingUpdate.maxSurge to 0 and maxUnavailable to 1
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
