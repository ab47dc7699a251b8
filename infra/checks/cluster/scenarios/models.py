"""Settings of the models' volume change and change back while old pods run: each pod gets its volume, and the last upgrade removes the other."""

from cluster import Cluster
from processes import Fault, wait_until
from scenarios.rollout import is_rolled_out

CLAIMS = "/api/v1/namespaces/darkroom/persistentvolumeclaims"
PODS, TASKS = 2, 10


def run(cluster: Cluster) -> list[str]:
    values = {"runtime": {"env": {"LATENCY_MS": "15000"}}, "replicas": {"min": PODS}}
    former, other = (values | {"models": {"bucket": bucket}} for bucket in ("models", "other-models"))
    cluster.helm.install(former)
    wait_until(f"{PODS} pods are ready", 120, lambda: len(cluster.ready_pods()) == PODS)
    tasks = cluster.darkroom.submit(TASKS, "models")
    wait_until("tasks are in flight", 60, lambda: cluster.darkroom.messages()[1] >= PODS)

    # An old pod finishes its run before it goes, so pods with both volumes are there.
    cluster.helm.install(other)
    wait_until("both volumes are in use", 60, lambda: buckets(cluster) == {"models", "other-models"})
    cluster.helm.install(former)
    wait_until("all pods have the former volume", 300, lambda: all_have(cluster, "models"))
    # The same by Helm's own rollback, which renders nothing again.
    cluster.helm.install(other)
    wait_until("both volumes are in use again", 60, lambda: buckets(cluster) == {"models", "other-models"})
    cluster.helm.rollback()
    wait_until("all pods have the former volume again", 300, lambda: all_have(cluster, "models"))
    wait_until("all tasks have their results", 300, lambda: cluster.darkroom.all_done(tasks))

    cluster.helm.install(former)
    wait_until("only the claim in use is left", 30, lambda: len(cluster.api.list(CLAIMS)) == 1)
    if not all_have(cluster, "models"):
        raise Fault("the pods have lost their volume")
    cluster.uninstall()
    faults = cluster.darkroom.faults(tasks)
    if faults:
        raise Fault("; ".join(faults))
    return [f"tasks: {len(tasks)}, results: {len(tasks)}"]


def all_have(cluster: Cluster, bucket: str) -> bool:
    return is_rolled_out(cluster, "example.com/worker:1") and len(cluster.ready_pods()) == PODS and buckets(cluster) == {bucket}


def buckets(cluster: Cluster) -> set[str]:
    """The buckets of the volumes that pods use."""
    found = set()
    for pod in cluster.pods():
        for volume in pod["spec"]["volumes"]:
            if "persistentVolumeClaim" in volume:
                claim = cluster.api.get(f"{CLAIMS}/{volume['persistentVolumeClaim']['claimName']}")
                bound = claim and cluster.api.get(f"/api/v1/persistentvolumes/{claim['spec']['volumeName']}")
                found.add(bound["spec"]["csi"]["volumeAttributes"]["bucketName"] if bound else "none")
    return found
