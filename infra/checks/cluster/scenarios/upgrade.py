"""From the previous version's chart and worker to this one, and back by `helm rollback`, while tasks wait and run: none is lost."""

from pathlib import Path
import subprocess
import threading

from cluster import Cluster
from processes import Fault, wait_until
from scenarios.rollout import finished

# Builds the previous version, once, and prints the folder of its tree.
PREVIOUS = Path(__file__).parents[2] / "upgrade" / "previous"
OLD, NEW = "example.com/worker:previous", "example.com/worker:1"
PODS = 4


def run(cluster: Cluster) -> list[str]:
    previous = previous_version()
    runtime = "example.com/sdwebui:previous"
    cluster.images |= {image: previous / "target" / "debug" for image in (OLD, runtime)}
    values = {
        "scaling": {"enabled": True, "cooldownSeconds": 60},
        "replicas": {"min": PODS, "max": PODS},
        "runtime": {"image": runtime, "env": {"LATENCY_MS": "5000"}},
        "worker": {"image": OLD},
    }
    cluster.helm.install(values, chart=previous / "infra" / "chart")
    wait_until(f"{PODS} pods are ready", 180, lambda: len(cluster.ready_pods()) == PODS)

    with Submitter(cluster) as submitter, cluster.record() as recorder:
        wait_until("tasks are in flight", 60, lambda: recorder.last and recorder.last.in_flight)
        cluster.helm.install(values | {"runtime": {"env": {"LATENCY_MS": "5000"}}, "worker": {"image": NEW}})
        forward = finished(cluster, NEW)
        between = len(submitter.tasks)
        wait_until("tasks are in flight with the new version", 60, lambda: len(submitter.tasks) > between and recorder.last.in_flight)
        cluster.helm.rollback()
        back = finished(cluster, OLD)
    tasks = submitter.tasks
    wait_until("all tasks have their results", 600, lambda: cluster.darkroom.all_done(tasks))
    cluster.uninstall()
    faults = cluster.darkroom.faults(tasks)
    if faults:
        raise Fault("; ".join(faults))
    return [
        f"{PODS} pods with tasks in flight, from {previous.name[:7]}: this version in {forward:.0f} s, the previous in {back:.0f} s",
        f"tasks: {len(tasks)}, results: {len(tasks)}, repeated notifications: {cluster.darkroom.repeated(tasks)}",
    ]


def previous_version() -> Path:
    if not PREVIOUS.exists():
        raise Fault(f"{PREVIOUS} is not there")
    done = subprocess.run([PREVIOUS], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Fault(f"{PREVIOUS} ended with {done.returncode}")
    return Path(done.stdout.strip())


class Submitter(threading.Thread):
    """Submits tasks while it is used as a context manager: as many as the pods finish, so that some always wait."""

    def __init__(self, cluster: Cluster):
        super().__init__(daemon=True)
        self._cluster = cluster
        self._stopping = threading.Event()
        self.tasks: list[str] = []

    def __enter__(self) -> "Submitter":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopping.set()
        self.join()

    def run(self) -> None:
        while not self._stopping.wait(1):
            waiting, _ = self._cluster.darkroom.messages()
            if waiting < 2 * PODS:
                self.tasks += self._cluster.darkroom.submit(PODS, f"upgrade-{len(self.tasks)}")
