{{/* The worker: the pod's main container. */}}
{{- define "darkroom.workerContainer" -}}
name: worker
image: {{ .Values.worker.image | quote }}
imagePullPolicy: {{ .Values.runtime.imagePullPolicy }}
env:
  {{- include "darkroom.workerVariables" . | nindent 2 }}
  {{- range $name, $value := .Values.worker.env }}
  - { name: {{ $name }}, value: {{ $value | quote }} }
  {{- end }}
ports:
  - { name: health, containerPort: {{ include "darkroom.healthPort" . }} }
{{- /*
The worker reports `hung` after 3 minutes without a turn of its main loop. It keeps its claims in STATE_FILE, so killing it is
cheap.
*/}}
livenessProbe:
  httpGet: { path: /healthz, port: health }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
  terminationGracePeriodSeconds: 10
{{- /* Nothing is routed to the pod; rollouts and the disruption budget count ready pods. */}}
readinessProbe:
  httpGet: { path: /readyz, port: health }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
resources: {{ toYaml .Values.worker.resources | nindent 2 }}
securityContext:
  {{- $user := ternary 10001 65532 .Values.runtime.sharesScratch }}
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  {{- include "darkroom.containerSecurity" . | nindent 2 }}
volumeMounts:
  - { name: worker-state, mountPath: /var/lib/darkroom }
  {{- if .Values.runtime.sharesScratch }}
  - { name: scratch, mountPath: /scratch }
  {{- end }}
  {{- if .Values.worker.markPod }}
  - { name: kubernetes-token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true }
  {{- end }}
{{- end }}
