"""A schedule keeps its pods from its start to its end, without any task; then none remains."""

from datetime import datetime, timedelta, timezone
import time

from cluster import Cluster
from processes import Fault, wait_until

REPLICAS, MINUTES = 3, 2


def run(cluster: Cluster) -> list[str]:
    # Cron knows minutes only. Two minutes ahead leaves time to install, and to see that no pod comes before.
    start = datetime.now(timezone.utc).replace(second=0, microsecond=0) + timedelta(minutes=2)
    end = start + timedelta(minutes=MINUTES)
    schedule = {"start": cron(start), "end": cron(end), "timezone": "UTC", "replicas": REPLICAS}
    cluster.helm.install({
        "scaling": {"enabled": True, "cooldownSeconds": 30, "schedules": [schedule]},
        "replicas": {"min": 0, "max": REPLICAS + 1},
    })
    with cluster.record() as recorder:
        wait_until("no pod is there before the schedule", 100, lambda: recorder.last and not recorder.last.wanted)
        wait_until("the schedule's pods are ready", 240, lambda: recorder.last.ready == REPLICAS)
        began, since = seconds_since(start), recorder.last.second
        while datetime.now(timezone.utc) < end:
            time.sleep(1)
        kept = min(sample.wanted for sample in recorder.samples if since <= sample.second)
        wait_until("no pod is wanted after the schedule", 300, lambda: recorder.last.wanted == 0)
        over = seconds_since(end)
    replicas = recorder.replicas()
    cluster.uninstall()
    if kept != REPLICAS:
        raise Fault(f"only {kept} of {REPLICAS} pods were wanted within the schedule")
    return [f"{REPLICAS} pods ready {began:.0f} s after its start, none {over:.0f} s after its end", f"replicas: {replicas}"]


def cron(when: datetime) -> str:
    """That minute of that day of the year."""
    return f"{when.minute} {when.hour} {when.day} {when.month} *"


def seconds_since(when: datetime) -> float:
    return (datetime.now(timezone.utc) - when).total_seconds()
