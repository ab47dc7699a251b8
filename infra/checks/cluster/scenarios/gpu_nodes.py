"""Karpenter makes a node for each GPU that pods wait for, leaves nodes alone while pods are idle on them, and removes empty ones."""

import time

from cluster import Cluster
from machines import CLAIMS
from processes import Fault, wait_until

PODS, IDLE_SECONDS = 2, 120
POOLS = ("/apis/karpenter.sh/v1/nodepools", "/apis/karpenter.k8s.aws/v1/ec2nodeclasses")


def run(cluster: Cluster) -> list[str]:
    nodes = cluster.machines.values() | {"purchase": "on-demand", "consolidateAfter": "10s"}
    values = {"nodes": nodes, "replicas": {"min": PODS, "max": PODS}}
    begun = time.monotonic()
    cluster.helm.install(values)
    wait_until(f"{PODS} pods are ready on nodes of their own", 300, lambda: len(cluster.ready_pods()) == PODS)
    created = time.monotonic() - begun
    hosts = {pod["spec"]["nodeName"] for pod in cluster.ready_pods()}
    tasks = cluster.darkroom.submit(4, "gpu-nodes")
    wait_until("all tasks have their results", 180, lambda: cluster.darkroom.all_done(tasks))

    before = claims(cluster)
    time.sleep(IDLE_SECONDS)
    faults = [f"{name} is {reason}" for name, reason in disrupted(cluster)]
    if claims(cluster) != before or len(before) != PODS:
        faults.append(f"nodes changed while pods were idle: {sorted(before)} became {sorted(claims(cluster))}")

    begun = time.monotonic()
    cluster.helm.install(values | {"replicas": {"min": 0, "max": PODS}})
    wait_until("empty nodes are gone", 300, lambda: not claims(cluster) and not cluster.machines.running())
    removed = time.monotonic() - begun

    # Whatever is installed last: no machine outlives the release.
    cluster.helm.install(values)
    wait_until("pods have nodes again", 300, lambda: len(cluster.ready_pods()) == PODS)
    cluster.uninstall()
    wait_until("pools, nodes and machines are gone", 300, lambda: not left(cluster))
    faults += cluster.darkroom.faults(tasks)
    if len(hosts) != PODS:
        faults.append(f"{PODS} pods of one GPU each share {sorted(hosts)}")
    if faults:
        raise Fault("; ".join(faults))
    return [
        f"{PODS} nodes with a pod each after {created:.0f} s, unchanged for {IDLE_SECONDS} s, removed {removed:.0f} s after the pods",
        f"tasks: {len(tasks)}, results: {len(tasks)}",
    ]


def claims(cluster: Cluster) -> set[str]:
    return {claim["metadata"]["name"] for claim in cluster.api.list(CLAIMS)}


def disrupted(cluster: Cluster) -> list[tuple[str, str]]:
    """Nodes that Karpenter wants to replace, and why."""
    return [
        (claim["metadata"]["name"], f"{condition['type']} ({condition.get('reason')})")
        for claim in cluster.api.list(CLAIMS)
        for condition in claim["status"]["conditions"]
        if condition["type"] in ("Drifted", "DisruptionReason") and condition["status"] == "True"
    ]


def left(cluster: Cluster) -> list[str]:
    objects = [item["metadata"]["name"] for path in (*POOLS, CLAIMS) for item in cluster.api.list(path)]
    return [*objects, *cluster.machines.running()]
