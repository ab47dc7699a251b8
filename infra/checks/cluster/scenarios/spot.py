"""A Spot notice while a pod is busy: its task is given back and done elsewhere, the machine goes, and a new one takes its place."""

import time

from cluster import Cluster
from machines import CLAIMS
from processes import Fault, wait_until
from scenarios.busy_pods import marked

PODS = 2
# Longer than the pod may go on after the notice, so that the run cannot end there.
LATENCY, DRAIN, GRACE = 60, 10, 30


def run(cluster: Cluster) -> list[str]:
    cluster.helm.install({
        "nodes": cluster.machines.values() | {"purchase": "spot"},
        "replicas": {"min": PODS, "max": PODS},
        "deadlines": {"drain": DRAIN, "grace": GRACE},
        "runtime": {"env": {"LATENCY_MS": str(LATENCY * 1000)}},
        "worker": {"markPod": True},
        "networkPolicy": {"kubernetesApiCidrs": ["127.0.0.1/32"]},
    })
    wait_until(f"{PODS} pods are ready", 300, lambda: len(cluster.ready_pods()) == PODS)
    (task,) = tasks = cluster.darkroom.submit(1, "spot")
    wait_until("a pod is busy", 60, lambda: marked(cluster))
    (busy,) = [pod for pod in cluster.pods() if pod["metadata"]["name"] in marked(cluster)]
    instance = cluster.machines.instance_of(busy["spec"]["nodeName"])

    begun = time.monotonic()
    cluster.machines.announce_interruption(instance)
    wait_until("the busy pod is gone", 120, lambda: cluster.gone(busy))
    given_back, done_there = time.monotonic() - begun, cluster.darkroom.all_done(tasks)
    wait_until("the machine is gone", 120, lambda: instance not in cluster.machines.running())
    wait_until("the task has its result", 300, lambda: cluster.darkroom.all_done(tasks))
    wait_until("another pod has taken its place", 300, lambda: len(cluster.ready_pods()) == PODS)
    replaced = time.monotonic() - begun
    cluster.uninstall()
    wait_until("all machines are gone", 300, lambda: not cluster.machines.running() and not cluster.api.list(CLAIMS))

    faults = cluster.darkroom.faults(tasks)
    if done_there:
        faults.append(f"{task} was done before its pod went, so nothing was given back")
    if given_back > GRACE + 15:
        faults.append(f"the pod was there for {given_back:.0f} s after the notice; EC2 leaves 120 s in all")
    if faults:
        raise Fault("; ".join(faults))
    return [
        f"pod gone {given_back:.0f} s after the notice, {PODS} pods ready again after {replaced:.0f} s",
        f"tasks: 1, results: 1, repeated notifications: {cluster.darkroom.repeated(tasks)}",
    ]
