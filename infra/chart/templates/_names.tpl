{{/* Names and labels. Objects in the namespace are called as the release is. */}}

{{/* Cluster-wide objects (NodePool, EC2NodeClass, PersistentVolume): two deployments may have runtimes of one name. */}}
{{- define "darkroom.clusterWideName" -}}
{{ .Release.Namespace }}-{{ .Release.Name }}
{{- end }}

{{/* A volume cannot be changed once it is made; other settings make another, and pods move to it as they are replaced. */}}
{{- define "darkroom.modelsSuffix" -}}
models-{{ list .Values.models .Values.aws | toJson | sha256sum | trunc 8 }}
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
