"""Changes for the worse. A test suite that does not notice one of them does not hold the chart to what it promises."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import shutil
import subprocess
import tempfile

import charts

# File in templates/, what stands there, what stands there instead.
MUTATIONS = [
    ("_runtime-container.tpl", "restartPolicy: Always\n", ""),
    ("_runtime-container.tpl", "failureThreshold: 12", "failureThreshold: 3"),
    ("_runtime-container.tpl", "path: /runtime-livez", "path: /healthz"),
    ("_runtime-container.tpl", "div (add (int .Values.deadlines.startup) 4) 5", "div (int .Values.deadlines.startup) 5"),
    ("_runtime-container.tpl", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
    ("_runtime-container.tpl", "allowPrivilegeEscalation: false\n", ""),
    ("_runtime-container.tpl", "{ drop: [ALL] }", "{ drop: [NET_RAW] }"),
    ("_runtime-container.tpl", "runAsUser: 10001", "runAsUser: 0"),
    ("_runtime-container.tpl", 'merge (dict "nvidia.com/gpu" .Values.runtime.gpus) ', "merge (dict) "),
    ("_runtime-container.tpl", "mountPath: /models, readOnly: true", "mountPath: /models"),
    ("_runtime-container.tpl", "concat .Values.runtime.args .Values.runtime.extraArgs", ".Values.runtime.extraArgs"),
    ("_worker-container.tpl", "path: /readyz", "path: /healthz"),
    ("_worker-container.tpl", "terminationGracePeriodSeconds: 10", "terminationGracePeriodSeconds: 110"),
    ("_worker-container.tpl", "ternary 10001 65532", "ternary 65532 10001"),
    ("_worker-container.tpl", "name: scratch, mountPath: /scratch", "name: scratch, mountPath: /runtime"),
    ("_worker-variables.tpl", "1073741824", "1000000000"),
    ("_names.tpl", 'eq .Values.runtime.type "comfyui"', "true"),
    ("_worker-variables.tpl", 'join "," .Values.worker.nodesDenied', 'join " " .Values.worker.nodesDenied'),
    ("_worker-variables.tpl", ".Values.deadlines.grace", ".Values.deadlines.drain"),
    ("_worker-variables.tpl", "name: STATE_FILE", "name: STATEFILE"),
    ("_worker-variables.tpl", ".Values.worker.notifyRunning", ".Values.worker.dynamicModel"),
    ("deployment.yaml", "eks.amazonaws.com/skip-containers: runtime", "eks.amazonaws.com/skip-containers: sidecar"),
    ("deployment.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true"),
    ("deployment.yaml", "seccompProfile: { type: RuntimeDefault }", "seccompProfile: { type: Unconfined }"),
    ("deployment.yaml", "{{- if not .Values.scaling.enabled }}", "{{- if true }}"),
    ("deployment.yaml", "maxSurge: 0", "maxSurge: 1"),
    ("deployment.yaml", "terminationGracePeriodSeconds: {{ .Values.deadlines.grace }}", "terminationGracePeriodSeconds: 30"),
    ("deployment.yaml", 'labels: {{ include "darkroom.podLabels"', 'labels: {{ include "darkroom.labels"'),
    ("deployment.yaml", "emptyDir: { sizeLimit: 16Mi }", "emptyDir: {}"),
    ("serviceaccount.yaml", "automountServiceAccountToken: false", "automountServiceAccountToken: true"),
    ("pod-marks.yaml", "verbs: [patch]", "verbs: [patch, delete]"),
    ("pod-marks.yaml", "{{- if .Values.worker.markPod }}", "{{- if true }}"),
    ("_scaling-formula.tpl", "min(total - visible, pods)", "total - visible"),
    ("_scaling-formula.tpl", 'append $terms (printf "schedule%d" $n)', "$terms"),
    ("scaledobject.yaml", '"inFlight" "false"', '"inFlight" "true"'),
    ("scaledobject.yaml", "identityOwner: keda", "identityOwner: workload"),
    ("scaledobject.yaml", "stabilizationWindowSeconds: 300", "stabilizationWindowSeconds: 0"),
    ("scaledobject.yaml", "app.kubernetes.io/name={{ .Chart.Name }},", ""),
    ("nodepool.yaml", "consolidationPolicy: WhenEmpty", "consolidationPolicy: WhenEmptyOrUnderutilized"),
    ("nodepool.yaml", 'nodes: "1", reasons', 'nodes: "100%", reasons'),
    ("nodepool.yaml", "effect: NoSchedule", "effect: PreferNoSchedule"),
    ("nodepool.yaml", "$grace (eq .Values", "60 (eq .Values"),
    ("nodepool.yaml", 'list "spot" "on-demand"', 'list "on-demand" "spot"'),
    ("nodepool.yaml", "(int .Values.replicas.max) (int .Values.runtime.gpus)", "(int .Values.replicas.max) 1"),
    ("nodepool.yaml", "s3.csi.aws.com/agent-not-ready", "s3.csi.aws.com/not-ready"),
    ("nodepool.yaml", "operator: Gt, values: [\"0\"]", "operator: Exists"),
    ("ec2nodeclass.yaml", "httpPutResponseHopLimit: 1", "httpPutResponseHopLimit: 2"),
    ("ec2nodeclass.yaml", "httpTokens: required", "httpTokens: optional"),
    ("ec2nodeclass.yaml", "bottlerocket@v{{ $nodes.bottlerocketVersion }}", "bottlerocket@latest"),
    ("ec2nodeclass.yaml", "        encrypted: true\n", ""),
    ("ec2nodeclass.yaml", "{{- if $nodes.imageCache.initializationRate }}", "{{- if true }}"),
    ("ec2nodeclass.yaml", "  instanceStorePolicy: RAID0\n", ""),
    ("models-volume.yaml", "    - read-only\n", ""),
    ("models-volume.yaml", "    - allow-other\n", ""),
    ("models-volume.yaml", "volumeHandle: {{ $volume }}", "volumeHandle: s3-csi-driver-volume"),
    ("models-volume.yaml", "persistentVolumeReclaimPolicy: Retain", "persistentVolumeReclaimPolicy: Delete"),
    ("models-volume.yaml", "cacheEmptyDirSizeLimit:", "cacheSizeLimit:"),
    ("networkpolicy.yaml", "169.254.0.0/16, ", ""),
    ("networkpolicy.yaml", '"fc00::/7", ', ""),
    ("networkpolicy.yaml", "cidr: 169.254.170.23/32", "cidr: 169.254.0.0/16"),
    ("networkpolicy.yaml", "policyTypes: [Ingress, Egress]", "policyTypes: [Egress]"),
    ("networkpolicy.yaml", "  ingress: []\n", "  ingress: [{}]\n"),
    ("networkpolicy.yaml", "{{- if .Values.worker.markPod }}", "{{- if .Values.networkPolicy.kubernetesApiCidrs }}"),
    ("poddisruptionbudget.yaml", "maxUnavailable:", "minAvailable:"),
    ("poddisruptionbudget.yaml", "unhealthyPodEvictionPolicy: AlwaysAllow", "unhealthyPodEvictionPolicy: IfHealthyBudget"),
    ("podmonitor.yaml", "port: health", "port: runtime"),
    ("_rules.tpl", "add (int $d.drain) 10", "add (int $d.drain) 9"),
    ("_rules.tpl", "(gt (int $d.grace) 120)", "(gt (int $d.grace) 600)"),
    ("_names.tpl", "{{ .Release.Namespace }}-{{ .Release.Name }}", "{{ .Release.Name }}"),
]


def survivors(helm: str, helm_unittest: str) -> list[str]:
    with ThreadPoolExecutor(max_workers=2) as pool:
        return [one for one in pool.map(lambda mutation: _survives(helm, helm_unittest, *mutation), MUTATIONS) if one]


def _survives(helm: str, helm_unittest: str, file: str, old: str, new: str) -> str | None:
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "chart"
        shutil.copytree(charts.CHART, copy)
        template = copy / "templates" / file
        text = template.read_text()
        if old not in text:
            return f"{file}: `{old.strip()}` does not stand there any more"
        template.write_text(text.replace(old, new))
        # A template that is broken altogether fails every test, and shows nothing.
        try:
            for case in charts.value_files(copy):
                charts.render(helm, case)
        except charts.ChartFault as fault:
            return f"{file}: without `{old.strip()}` nothing is rendered: {str(fault).splitlines()[1]}"
        done = subprocess.run([helm_unittest, "-f", "unittests/*_test.yaml", str(copy)], capture_output=True, check=False)
        return f"{file}: `{old.strip()}` may become `{new.strip()}`" if done.returncode == 0 else None
