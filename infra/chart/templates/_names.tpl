{{/* Names and labels. Objects in the namespace are called as the release is. */}}

{{/* Cluster-wide objects (NodePool, EC2NodeClass, PersistentVolume): two deployments may have runtimes of one name. */}}
{{- define "darkroom.clusterWideName" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}
{{- end }}

{{/*
A volume cannot be changed once it is made; other settings make another, and pods move to it as they are replaced. One that is being
deleted cannot be used again, so settings that come back before it is gone get a second name, and keep it.
*/}}
{{- define "darkroom.modelsSuffix" -}}
{{- $first := printf "models-%s" (list .Values.models .Values.aws | toJson | sha256sum | trunc 8) }}
{{- $second := printf "%s-b" $first }}
{{- $states := dict }}
{{- range $suffix := list $first $second }}
{{- $claim := lookup "v1" "PersistentVolumeClaim" $.Release.Namespace (printf "%s-%s" $.Release.Name $suffix) }}
{{- $volume := lookup "v1" "PersistentVolume" "" (printf "%s-%s" (include "darkroom.clusterWideName" $) $suffix) }}
{{- $going := or (dig "metadata" "deletionTimestamp" "" $claim) (dig "metadata" "deletionTimestamp" "" $volume) }}
{{- $_ := set $states $suffix (ternary "going" (ternary "there" "none" (not (empty $claim))) (not (empty $going))) }}
{{- end }}
{{- if and (eq (get $states $first) "going") (eq (get $states $second) "going") }}
{{- fail (printf "models: volumes with these settings are being deleted, but pods still mount them: wait until `kubectl -n %s get pvc` lists no Terminating one, and repeat this" .Release.Namespace) }}
{{- end }}
{{- $keeps := and (eq (get $states $first) "none") (eq (get $states $second) "there") }}
{{- ternary $second $first (or $keeps (eq (get $states $first) "going")) }}
{{- end }}

{{/* The names of the claims that pods of this release mount, as JSON; none where there is no cluster to ask. */}}
{{- define "darkroom.mountedClaims" -}}
{{- $claims := list }}
{{- range (lookup "v1" "Pod" .Release.Namespace "").items }}
{{- if eq (dig "metadata" "labels" "app.kubernetes.io/instance" "" .) $.Release.Name }}
{{- range .spec.volumes }}
{{- with .persistentVolumeClaim }}{{ $claims = append $claims .claimName }}{{ end }}
{{- end }}
{{- end }}
{{- end }}
{{- $claims | uniq | sortAlpha | toJson }}
{{- end }}

{{- define "darkroom.runtimeName" -}}
{{ .Values.runtime.name | default .Release.Name }}
{{- end }}

{{- define "darkroom.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default .Release.Name }}
{{- end }}

{{- define "darkroom.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of pods: without versions, so that a new version of the chart alone restarts nothing. */}}
{{- define "darkroom.podLabels" -}}
{{ include "darkroom.selectorLabels" . }}
app.kubernetes.io/component: {{ .Values.runtime.type }}
app.kubernetes.io/part-of: darkroom
{{- end }}

{{- define "darkroom.labels" -}}
{{ include "darkroom.podLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* The port of the worker's probes and metrics. */}}
{{- define "darkroom.healthPort" -}}
8390
{{- end }}
