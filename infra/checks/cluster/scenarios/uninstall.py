"""`helm uninstall` of a release at work leaves no object, and no task is lost."""

from cluster import Cluster
from processes import Fault, wait_until

# They come and go by themselves, and outlive what they are about.
PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "endpoints", "endpointslices.discovery.k8s.io", "componentstatuses"}


def run(cluster: Cluster) -> list[str]:
    before = inventory(cluster)
    values = {
        "models": {"bucket": "models"}, "replicas": {"min": 2}, "scaling": {"enabled": True},
        "nodes": cluster.machines.values() | {"purchase": "on-demand"},
        "podMonitor": {"enabled": True}, "grafanaDashboard": {"enabled": True}, "worker": {"markPod": True},
        "networkPolicy": {"kubernetesApiCidrs": ["127.0.0.1/32"]},
    }
    cluster.helm.install(values)
    tasks = cluster.darkroom.submit(12, "uninstall")
    wait_until("tasks are in flight", 300, lambda: cluster.darkroom.messages()[1] > 0)
    made = len(inventory(cluster) - before)

    cluster.helm.uninstall()
    wait_until("the pods are gone", 150, lambda: not cluster.pods())
    nothing_is_left(cluster, before)

    # What was released waits for the next release.
    cluster.helm.install({"replicas": {"min": 2}})
    wait_until("all tasks have their results", 300, lambda: cluster.darkroom.all_done(tasks))
    cluster.uninstall()
    nothing_is_left(cluster, before)
    faults = cluster.darkroom.faults(tasks)
    if faults:
        raise Fault("; ".join(faults))
    return [f"{made} objects made, none left", f"tasks: {len(tasks)}, results: {len(tasks)}"]


def nothing_is_left(cluster: Cluster, before: set[str]) -> None:
    """Kubernetes' garbage collector and KEDA need some seconds, Karpenter ends the machines first."""
    left: set[str] = set()

    def none() -> bool:
        left.clear()
        left.update(inventory(cluster) - before, cluster.machines.running())
        return not left

    try:
        wait_until("no object is left", 240, none, every=2)
    except Fault:
        raise Fault(f"left: {', '.join(sorted(left))}") from None


def inventory(cluster: Cluster) -> set[str]:
    """Every object of the cluster, of all kinds that can be listed."""
    kinds = cluster.must("api-resources", "--verbs", "list", "--output", "name").split()
    listed = ",".join(kind for kind in kinds if kind not in PASSING and not kind.endswith(".metrics.k8s.io"))
    columns = "custom-columns=A:.apiVersion,K:.kind,S:.metadata.namespace,N:.metadata.name"
    return set(cluster.must("get", listed, "--all-namespaces", "--no-headers", "--output", columns).splitlines())
