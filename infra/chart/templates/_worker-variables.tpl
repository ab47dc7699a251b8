{{/* The worker's variables, by the names of worker/README.md. Lists are joined by commas; an empty one counts as unset. Helm keeps
numbers as floats, so that those above a million need `int64` to be written in full. */}}
{{- define "darkroom.workerVariables" -}}
- { name: AWS_REGION, value: {{ .Values.aws.region | quote }} }
- { name: SQS_QUEUE_URL, value: {{ .Values.worker.queueUrl | quote }} }
- { name: SNS_TOPIC_ARN, value: {{ .Values.worker.completionTopicArn | quote }} }
- { name: S3_BUCKET, value: {{ .Values.worker.resultsBucket | quote }} }
- { name: RECORD_TABLE, value: {{ .Values.worker.recordTable | quote }} }
- { name: RUNTIME_TYPE, value: {{ .Values.runtime.type | quote }} }
- { name: RUNTIME_NAME, value: {{ include "darkroom.runtimeName" . | quote }} }
- { name: API_BASE_URL, value: "localhost:{{ .Values.runtime.port }}" }
- { name: DYNAMIC_SD_MODEL, value: {{ .Values.worker.dynamicModel | quote }} }
- { name: EXP_CALLBACK_WHEN_RUNNING, value: {{ .Values.worker.notifyRunning | quote }} }
- { name: INPUT_ALLOW_HOSTS, value: {{ join "," .Values.worker.inputHosts | quote }} }
- { name: INPUT_S3_BUCKETS, value: {{ join "," .Values.worker.inputBuckets | quote }} }
- { name: NODES_ALLOWED, value: {{ join "," .Values.worker.nodesAllowed | quote }} }
- { name: NODES_DENIED, value: {{ join "," .Values.worker.nodesDenied | quote }} }
- { name: SETTINGS_ALLOWED, value: {{ join "," .Values.worker.settingsAllowed | quote }} }
- { name: SCRIPTS_ALLOWED, value: {{ join "," .Values.worker.scriptsAllowed | quote }} }
- { name: UNINTERRUPTIBLE_RUN, value: {{ .Values.worker.uninterruptibleRun | quote }} }
- { name: MAX_PIXELS, value: {{ .Values.worker.maxPixels | int64 | quote }} }
- { name: MAX_STEPS, value: {{ .Values.worker.maxSteps | int64 | quote }} }
- { name: MAX_IMAGES, value: {{ .Values.worker.maxImages | int64 | quote }} }
- { name: MAX_ATTEMPTS, value: {{ .Values.worker.attempts | quote }} }
- { name: WORKER_CONCURRENCY, value: {{ .Values.worker.concurrency | quote }} }
- { name: VISIBILITY_TIMEOUT_SECONDS, value: {{ .Values.deadlines.visibility | quote }} }
- { name: RUN_TIMEOUT_SECONDS, value: {{ .Values.deadlines.run | quote }} }
- { name: DRAIN_SECONDS, value: {{ .Values.deadlines.drain | quote }} }
- { name: GRACE_PERIOD_SECONDS, value: {{ .Values.deadlines.grace | quote }} }
- { name: URL_EXPIRY_SECONDS, value: {{ .Values.worker.urlSeconds | quote }} }
- { name: STATE_FILE, value: /var/lib/darkroom/state.json }
{{- if .Values.runtime.sharesScratch }}
- { name: SCRATCH_FOLDER, value: /scratch }
- { name: SCRATCH_LIMIT_BYTES, value: {{ mul (int64 .Values.runtime.scratchGiB) 1073741824 | toString | quote }} }
{{- end }}
- { name: HEALTH_LISTEN, value: "0.0.0.0:{{ include "darkroom.healthPort" . }}" }
{{- with .Values.worker.metrics.namespace }}
- { name: METRICS_NAMESPACE, value: {{ . | quote }} }
- { name: METRICS_LOG_GROUP, value: {{ $.Values.worker.metrics.logGroup | quote }} }
{{- end }}
{{- with .Values.worker.gpuUsdPerHour }}
- { name: GPU_USD_PER_HOUR, value: {{ . | quote }} }
{{- end }}
- { name: MARK_POD, value: {{ .Values.worker.markPod | quote }} }
{{- if .Values.worker.markPod }}
- { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
- { name: POD_NAMESPACE, valueFrom: { fieldRef: { fieldPath: metadata.namespace } } }
{{- end }}
{{- end }}
