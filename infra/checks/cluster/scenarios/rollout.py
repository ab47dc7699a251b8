"""A new version and the way back, while tasks wait and run: a quarter of the pods at a time, and no task is lost."""

import time

from cluster import Cluster
from processes import Fault, wait_until
from recorder import DEPLOYMENT

PODS, TASKS = 4, 60


def run(cluster: Cluster) -> list[str]:
    values = {"replicas": {"min": PODS}, "runtime": {"env": {"LATENCY_MS": "8000"}}}
    cluster.helm.install(values)
    with cluster.record() as recorder:
        tasks = cluster.darkroom.submit(TASKS, "rollout")
        wait_until(f"{PODS} pods work", 120, lambda: recorder.last and recorder.last.ready == PODS and recorder.last.in_flight)
        before = recorder.last.second

        cluster.helm.install(values | {"worker": {"image": "example.com/worker:2"}})
        forward = finished(cluster, "example.com/worker:2")
        tasks += cluster.darkroom.submit(TASKS // 2, "between")
        wait_until("tasks are in flight", 30, lambda: recorder.last.in_flight)
        cluster.helm.rollback()
        back = finished(cluster, "example.com/worker:1")

        wait_until("all tasks have their results", 300, lambda: cluster.darkroom.all_done(tasks))
        fewest = min(sample.ready for sample in recorder.samples if before <= sample.second)
    cluster.uninstall()

    faults = cluster.darkroom.faults(tasks)
    if fewest < PODS - PODS // 4:
        faults.append(f"only {fewest} pods were ready")
    if faults:
        raise Fault("; ".join(faults))
    return [
        f"{PODS} pods with tasks in flight: new version in {forward:.0f} s, the former in {back:.0f} s; never less than {fewest} ready",
        f"tasks: {len(tasks)}, results: {len(tasks)}, repeated notifications: {cluster.darkroom.repeated(tasks)}",
    ]


def finished(cluster: Cluster, image: str) -> float:
    """The seconds until every pod has the image and is ready."""
    begun = time.monotonic()
    wait_until(f"all pods run {image}", 400, lambda: is_rolled_out(cluster, image))
    return time.monotonic() - begun


def is_rolled_out(cluster: Cluster, image: str) -> bool:
    deployment = cluster.api.get(DEPLOYMENT)
    status, wanted = deployment["status"], deployment["spec"]["replicas"]
    images = {pod["spec"]["containers"][0]["image"] for pod in cluster.pods()}
    return images == {image} and status.get("updatedReplicas") == status.get("readyReplicas") == wanted
