"""A backlog makes pods, as many as the values allow, and none remains without tasks: real KEDA and HPA, with the chart's formula."""

from cluster import Cluster
from processes import Fault, wait_until

TASKS, MAX, COOLDOWN = 160, 10, 30


def run(cluster: Cluster) -> list[str]:
    cluster.helm.install({
        "scaling": {"enabled": True, "cooldownSeconds": COOLDOWN},
        "replicas": {"min": 0, "max": MAX},
        "runtime": {"env": {"LATENCY_MS": "4000"}},
        "worker": {"markPod": True},
        "networkPolicy": {"kubernetesApiCidrs": ["127.0.0.1/32"]},
    })
    with cluster.record() as recorder:
        wait_until("no pod remains without tasks", 120, lambda: recorder.last and not recorder.last.wanted and not cluster.pods())
        begun = recorder.last.second
        tasks = cluster.darkroom.submit(TASKS, "backlog")
        wait_until(f"{MAX} pods are wanted", 180, lambda: recorder.last.wanted == MAX)
        full = recorder.last.second
        wait_until("all tasks have their results", 600, lambda: cluster.darkroom.all_done(tasks))
        done = recorder.last.second
        wait_until("no pod is wanted", COOLDOWN + 300, lambda: recorder.last.wanted == 0)
        end = recorder.last.second
    peak, lowest = recorder.peak, recorder.lowest_with_work(full)
    first = recorder.second_of(lambda sample: sample.second > begun and sample.wanted > 0)
    cluster.uninstall()

    faults = cluster.darkroom.faults(tasks)
    if peak > MAX:
        faults.append(f"{peak} pods were wanted")
    if lowest == 0:
        faults.append("no pod was wanted while tasks were in flight")
    if faults:
        raise Fault("; ".join(faults))
    return [
        f"first pod after {first - begun} s, {MAX} after {full - begun} s, all results after {done - begun} s, none {end - done} s later",
        f"replicas: {recorder.replicas()}",
        f"tasks: {TASKS}, results: {TASKS}, repeated notifications: {cluster.darkroom.repeated(tasks)}",
    ]
