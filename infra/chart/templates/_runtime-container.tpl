{{/*
The runtime: a native sidecar, that is, an init container that stays. So the worker starts once the runtime has started, and
at the end the worker gets SIGTERM first and the runtime only when the worker is gone (KEP-753).
*/}}
{{- define "darkroom.runtimeContainer" -}}
name: runtime
image: {{ .Values.runtime.image | quote }}
imagePullPolicy: {{ .Values.runtime.imagePullPolicy }}
restartPolicy: Always
{{- with .Values.runtime.command }}
command: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with concat .Values.runtime.args .Values.runtime.extraArgs }}
args: {{ toYaml . | nindent 2 }}
{{- end }}
env:
  {{- with .Values.runtime.model }}
  - { name: MODEL, value: {{ . | quote }} }
  {{- end }}
  {{- with .Values.runtime.cacheRamGB }}
  - { name: CACHE_RAM_GB, value: {{ . | quote }} }
  {{- end }}
  {{- with .Values.runtime.disabledNodes }}
  - { name: DISABLED_NODES, value: {{ join "," . | quote }} }
  {{- end }}
  {{- if .Values.runtime.partnerNodes }}
  - { name: PARTNER_NODES, value: "true" }
  {{- end }}
  {{- range $name, $value := .Values.runtime.env }}
  - { name: {{ $name }}, value: {{ $value | quote }} }
  {{- end }}
ports:
  - { name: runtime, containerPort: {{ .Values.runtime.port }} }
{{- /*
Every 5 s, for deadlines.startup seconds; the worker does not start before. A process that is given up on, here and
below, gets 10 s to end instead of the pod's whole grace period: it does not answer, so it will not end by itself either.
*/}}
startupProbe:
  httpGet: { path: {{ .Values.runtime.startupPath | quote }}, port: {{ .Values.runtime.port }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: {{ div (add (int .Values.deadlines.startup) 4) 5 }}
  terminationGracePeriodSeconds: 10
{{- /*
The worker detects when only a restart helps, and answers for the runtime on its own port: containers of a pod share their
address. The kubelet begins with this probe as soon as the startup probe has passed, which is also when it begins to pull and
start the worker; until the worker listens, the probe fails. 12 failures 10 s apart give it 120 s: a pull of some 20 MB and a
start of less than a second, or a restart, with room for a slow registry. A restart of the worker alone takes seconds.
*/}}
livenessProbe:
  httpGet: { path: /runtime-livez, port: {{ include "darkroom.healthPort" . }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 12
  terminationGracePeriodSeconds: 10
resources:
  {{- $resources := .Values.runtime.resources }}
  {{- with $resources.requests }}
  requests: {{ toYaml . | nindent 4 }}
  {{- end }}
  limits: {{ merge (dict "nvidia.com/gpu" .Values.runtime.gpus) ($resources.limits | default dict) | toYaml | nindent 4 }}
securityContext:
  runAsUser: 10001
  runAsGroup: 10001
  {{- include "darkroom.containerSecurity" . | nindent 2 }}
volumeMounts:
  - { name: scratch, mountPath: /scratch }
  - { name: runtime-tmp, mountPath: /tmp }
  {{- if .Values.models.bucket }}
  - { name: models, mountPath: /models, readOnly: true }
  {{- end }}
{{- end }}

{{/* The same for both containers: nothing to gain by breaking out of the program. */}}
{{- define "darkroom.containerSecurity" -}}
runAsNonRoot: true
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: { drop: [ALL] }
{{- end }}
