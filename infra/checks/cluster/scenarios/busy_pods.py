"""Pods that mark themselves as busy, with the chart's own Role, survive when a real ReplicaSet shrinks."""

from cluster import Cluster
from processes import Fault, wait_until
from recorder import DEPLOYMENT

PODS, BUSY = 6, 3
COST = "controller.kubernetes.io/pod-deletion-cost"
DO_NOT_DISRUPT = "karpenter.sh/do-not-disrupt"


def run(cluster: Cluster) -> list[str]:
    cluster.helm.install({
        "runtime": {"env": {"LATENCY_MS": "30000"}},
        "worker": {"markPod": True},
        "networkPolicy": {"kubernetesApiCidrs": ["127.0.0.1/32"]},
        "replicas": {"min": PODS},
    })
    has_only_the_right_to_patch_pods(cluster)
    wait_until(f"{PODS} pods are ready", 120, lambda: len(cluster.ready_pods()) == PODS)

    tasks = cluster.darkroom.submit(BUSY, "busy")
    wait_until(f"{BUSY} pods are marked", 30, lambda: len(marked(cluster)) == BUSY)
    busy = marked(cluster)
    cluster.api.patch(f"{DEPLOYMENT}/scale", {"spec": {"replicas": BUSY}})
    wait_until("the others are gone", 60, lambda: len(cluster.pods()) == BUSY)
    kept = {pod["metadata"]["name"] for pod in cluster.pods()}
    wait_until("all tasks have their results", 120, lambda: cluster.darkroom.all_done(tasks))
    wait_until("idle pods are not marked", 30, lambda: not marked(cluster))
    cluster.uninstall()

    faults = cluster.darkroom.faults(tasks)
    if kept != busy:
        faults.append(f"of the busy pods {sorted(busy)} only {sorted(kept & busy)} were kept")
    if faults:
        raise Fault("; ".join(faults))
    return [f"{PODS} pods, {BUSY} busy: {BUSY} remain, the busy ones", f"tasks: {BUSY}, results: {BUSY}"]


def marked(cluster: Cluster) -> set[str]:
    """Names of pods with both annotations."""
    names = set()
    for pod in cluster.pods():
        annotations = pod["metadata"].get("annotations", {})
        if annotations.get(COST) == "1000" and annotations.get(DO_NOT_DISRUPT) == "true":
            names.add(pod["metadata"]["name"])
    return names


def has_only_the_right_to_patch_pods(cluster: Cluster) -> None:
    account = "system:serviceaccount:darkroom:sdruntime"
    for verb, resource, namespace, expected in [
        ("patch", "pods", "darkroom", True),
        ("get", "pods", "darkroom", False),
        ("delete", "pods", "darkroom", False),
        ("patch", "deployments", "darkroom", False),
        ("get", "secrets", "darkroom", False),
        ("patch", "pods", "default", False),
    ]:
        allowed = cluster.kubectl("auth", "can-i", verb, resource, "--namespace", namespace, "--as", account)
        if (allowed.returncode == 0) != expected:
            raise Fault(f"{verb} {resource} in {namespace}: {allowed.stdout.strip()}")
