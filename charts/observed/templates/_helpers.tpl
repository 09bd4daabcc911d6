{{- define "observed.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "observed.fullname" -}}
{{- $name := include "observed.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "observed.serviceAccountName" -}}
{{- default (include "observed.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{- /* What never changes in the life of a release: selectors cannot be changed. */}}
{{- define "observed.selectorLabels" -}}
app.kubernetes.io/name: {{ include "observed.name" . | quote }}
app.kubernetes.io/instance: {{ quote .Release.Name }}
{{- end }}

{{- define "observed.labels" -}}
{{- $labels := include "observed.selectorLabels" . | fromYaml }}
{{- $_ := set $labels "app.kubernetes.io/version" .Chart.AppVersion }}
{{- $_ := set $labels "app.kubernetes.io/managed-by" .Release.Service }}
{{- $_ := set $labels "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_") }}
{{- toYaml (merge $labels .Values.commonLabels) }}
{{- end }}

{{- /* What remediates: its Deployment, ServiceAccount, roles and Lease. */}}
{{- define "observed.remediator" -}}
{{- printf "%s-remediator" (include "observed.fullname" .) }}
{{- end }}

{{- /* Its pods are none of the operator's. */}}
{{- define "observed.remediatorLabels" -}}
app.kubernetes.io/name: {{ printf "%s-remediator" (include "observed.name" .) | quote }}
app.kubernetes.io/instance: {{ quote .Release.Name }}
{{- end }}

{{- define "observed.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- /* A role and its binding: root, kind, name, namespace (only of a Role), rules, account. */}}
{{- define "observed.role" -}}
{{- $metadata := dict "name" .name "labels" (include "observed.labels" .root | fromYaml) }}
{{- with .namespace }}{{ $_ := set $metadata "namespace" . }}{{ end }}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  {{- toYaml $metadata | nindent 2 }}
rules:
  {{- toYaml .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  {{- toYaml $metadata | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ quote .name }}
subjects:
  - kind: ServiceAccount
    name: {{ quote .account }}
    namespace: {{ quote .root.Release.Namespace }}
{{- end }}

{{- /* The roles of one account: root, name, account, home, services, everywhere. */}}
{{- define "observed.roles" -}}
{{- $name := .name }}
{{- $account := .account }}
{{- $everywhere := .everywhere }}
{{- $services := .services }}
{{- $root := .root }}
{{- /* The Lease has the name of the release's other objects. */}}
{{- range .home }}
{{- if .resourceNames }}
{{- $_ := set . "resourceNames" (list $name) }}
{{- end }}
{{- end }}
{{ include "observed.role" (dict "root" $root "kind" "Role" "name" (printf "%s-lease" $name) "namespace" $root.Release.Namespace "rules" .home "account" $account) }}
---
{{- with $root.Values.watchNamespace }}
{{ include "observed.role" (dict "root" $root "kind" "Role" "name" $name "namespace" . "rules" $services "account" $account) }}
---
{{ include "observed.role" (dict "root" $root "kind" "ClusterRole" "name" (printf "%s-%s" $name .) "rules" $everywhere "account" $account) }}
{{- else }}
{{ include "observed.role" (dict "root" $root "kind" "ClusterRole" "name" $name "rules" (concat $services $everywhere) "account" $account) }}
{{- end }}
{{- end }}

{{- /* An object that Observed generates for itself, under the names of the release: root, file, labels. */}}
{{- define "observed.generated" -}}
{{- $name := include "observed.fullname" .root }}
{{- $uid := printf "obs-%s" (printf "%s/%s/dashboard" .root.Release.Namespace $name | sha256sum | trunc 36) }}
{{- /* As JSON every name is a text, whatever YAML would take it for. */}}
{{- $text := .root.Files.Get (printf "files/monitoring/%s.yaml" .file) | fromYaml | toJson }}
{{- $object := $text | replace "the-namespace" .root.Release.Namespace | replace "the-release" $name | replace "the-dashboard" $uid | fromJson }}
{{- $own := omit $object.metadata.labels "app.kubernetes.io/managed-by" "observed.rs/service" }}
{{- $_ := set $object.metadata "labels" (merge (include "observed.labels" .root | fromYaml) .labels $own) }}
{{- toJson $object }}
{{- end }}

{{- /* Files of the Secrets of a server that are mounted: file, variable that names it, Secret and key. */}}
{{- define "observed.files" -}}
{{- $files := list }}
{{- range $file := list
  (dict "file" "token" "variable" "TOKEN_FILE" "secret" .tokenSecret.name "key" .tokenSecret.key)
  (dict "file" "basic-auth" "variable" "BASIC_AUTH_FILE" "secret" .basicAuthSecret.name "key" .basicAuthSecret.key)
  (dict "file" "ca.crt" "variable" "CA_FILE" "secret" .caSecret.name "key" .caSecret.key)
  (dict "file" "tls.crt" "variable" "CERT_FILE" "secret" .clientCertSecret.name "key" .clientCertSecret.certKey)
  (dict "file" "tls.key" "variable" "KEY_FILE" "secret" .clientCertSecret.name "key" .clientCertSecret.keyKey) }}
{{- if $file.secret }}
{{- $files = append $files $file }}
{{- end }}
{{- end }}
{{- toJson $files }}
{{- end }}

{{- /* How Prometheus, Alertmanager and Grafana are reached: the same for the operator and for `helm test`, as JSON. */}}
{{- define "observed.servers" -}}
{{- $env := list }}
{{- $mounts := list }}
{{- $volumes := list }}
{{- range $name := list "prometheus" "alertmanager" "grafana" }}
{{- $server := index $.Values $name }}
{{- $prefix := printf "OBSERVED_%s" (upper $name) }}
{{- with $server.url }}
{{- $env = append $env (dict "name" (printf "%s_URL" $prefix) "value" .) }}
{{- end }}
{{- $sources := list }}
{{- range include "observed.files" $server | fromJsonArray }}
{{- $env = append $env (dict "name" (printf "%s_%s" $prefix .variable) "value" (printf "/var/run/secrets/%s/%s" $name .file)) }}
{{- $sources = append $sources (dict "secret" (dict "name" .secret "items" (list (dict "key" .key "path" .file)))) }}
{{- end }}
{{- with $server.headers }}
{{- $lines := list }}
{{- range $header, $value := . }}
{{- $lines = append $lines (printf "%s: %s" $header $value) }}
{{- end }}
{{- $env = append $env (dict "name" (printf "%s_HEADER" $prefix) "value" (join "\n" $lines)) }}
{{- end }}
{{- with $sources }}
{{- $mounts = append $mounts (dict "name" $name "mountPath" (printf "/var/run/secrets/%s" $name) "readOnly" true) }}
{{- $volumes = append $volumes (dict "name" $name "projected" (dict "sources" .)) }}
{{- end }}
{{- end }}
{{- toJson (dict "env" $env "volumeMounts" $mounts "volumes" $volumes) }}
{{- end }}

{{- /* How the operator serves its metrics when not all may read them, as JSON. */}}
{{- define "observed.metrics" -}}
{{- $env := list }}
{{- $mounts := list }}
{{- $volumes := list }}
{{- with .Values.metrics }}
{{- if and .certSecret.name (not .secure) }}
{{- fail "metrics.certSecret needs metrics.secure: without it /metrics is served without TLS" }}
{{- end }}
{{- if and $.Values.serviceMonitor.tokenSecret.name (not .secure) }}
{{- fail "serviceMonitor.tokenSecret needs metrics.secure: a token does not travel without TLS" }}
{{- end }}
{{- if .secure }}
{{- $env = append $env (dict "name" "OBSERVED_METRICS_LISTEN" "value" "0.0.0.0:8443") }}
{{- with .certSecret }}
{{- if .name }}
{{- $env = append $env (dict "name" "OBSERVED_METRICS_CERT_FILE" "value" "/var/run/secrets/metrics/tls.crt") }}
{{- $env = append $env (dict "name" "OBSERVED_METRICS_KEY_FILE" "value" "/var/run/secrets/metrics/tls.key") }}
{{- $items := list (dict "key" .certKey "path" "tls.crt") (dict "key" .keyKey "path" "tls.key") }}
{{- $mounts = append $mounts (dict "name" "metrics" "mountPath" "/var/run/secrets/metrics" "readOnly" true) }}
{{- $volumes = append $volumes (dict "name" "metrics" "secret" (dict "secretName" .name "items" $items)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson (dict "env" $env "volumeMounts" $mounts "volumes" $volumes) }}
{{- end }}
