"""Whether the number of pods does what it should: follow the backlog, keep busy pods, never run away, end at zero."""

import copy
from dataclasses import dataclass
from typing import Callable

from autoscaler import Autoscaler, Formula

# Until a new pod works: node, image, model.
BOOT_SECONDS = 180

# How many tasks come at once, how long each takes, and how many pods that is worth at four tasks each. Long runs outlast
# the window in which the HPA remembers that it wanted more.
LOADS = [(100, 20, 25), (60, 900, 15)]

# Formulas that do not do it, and how many tasks a worker holds at once when they do not. If the simulation lets one of them
# pass, it proves nothing about the right one.
WRONG = [
    ("the backlog alone", "total / 4", 1),
    ("what is in flight and the backlog, added", "(total - visible) + visible / 4", 1),
    ("what is in flight, also beyond the pods that there are", "max(total - visible, total / 4)", 3),
]


@dataclass
class Pod:
    ready_at: int
    held: int = 0
    done_at: int = 0


@dataclass
class History:
    """What two simulated hours brought: the most pods, the seconds in which a pod too many was taken, the pods at the end."""

    peak: int = 0
    below_the_busy: int = 0
    last: int = 0


def simulate(spec: dict, formula: Callable[..., float], tasks: int, run: int, holds: int) -> History:
    """`tasks` come at once; each takes `run` seconds of a GPU; a worker holds up to `holds` (running, staged, being stored)."""
    scaler, history = Autoscaler(spec), History()
    pods: list[Pod] = []
    waiting = tasks
    for now in range(7200):
        for pod in pods:
            if pod.held and now >= pod.done_at:
                pod.held, pod.done_at = pod.held - 1, now + run
            while waiting and pod.held < holds and now >= pod.ready_at:
                pod.done_at = pod.done_at if pod.held else now + run
                pod.held, waiting = pod.held + 1, waiting - 1
        in_flight = sum(pod.held for pod in pods)
        scaler.step(now, formula(total=waiting + in_flight, visible=waiting, pods=len(pods)))
        history.below_the_busy += scaler.replicas < min(in_flight, len(pods))

        pods.sort(key=lambda pod: pod.held, reverse=True)
        waiting += sum(pod.held for pod in pods[scaler.replicas :])
        pods = pods[: scaler.replicas] + [Pod(now + BOOT_SECONDS) for _ in range(scaler.replicas - len(pods))]
        history.peak, history.last = max(history.peak, scaler.replicas), scaler.replicas
    return history


def faults(evaluator: str, plain: dict, scheduled: dict) -> list[str]:
    """What is wrong with two ScaledObjects: one of four tasks per pod without schedules, one with two schedules."""
    spec = copy.deepcopy(plain["spec"])
    # Room to run away in.
    spec["maxReplicaCount"] = 200
    spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleUp"]["policies"][0]["value"] = 200
    found = []

    def expect(what: str, actual: object, wanted: object) -> None:
        if actual != wanted:
            found.append(f"{what}: {actual} instead of {wanted}")

    formula = Formula(evaluator, spec["advanced"]["scalingModifiers"]["formula"])
    expect("five workers on a task each, an empty queue", formula(total=5, visible=0, pods=5), 5)
    expect("100 tasks wait, four to a pod", formula(total=100, visible=100, pods=0), 25)
    expect("as many pods as that, each with three tasks", formula(total=100, visible=25, pods=25), 25)
    expect("one task, no pod", formula(total=1, visible=1, pods=0) > 0, True)
    expect("a task that a dead pod left, still hidden", formula(total=1, visible=0, pods=0) > 0, True)
    expect("counts of SQS that do not fit together", formula(total=2, visible=5, pods=3), 0.5)
    expect("nothing to do", formula(total=0, visible=0, pods=7), 0)
    for holds in (1, 2, 3):
        for tasks, run, pods in LOADS:
            history = simulate(spec, formula, tasks, run, holds)
            expect(f"{tasks} tasks of {run} s, {holds} at a time in a worker", history, History(peak=pods))
    formula.close()

    with_schedules = Formula(evaluator, scheduled["spec"]["advanced"]["scalingModifiers"]["formula"])
    expect("a schedule and an empty queue", with_schedules(total=0, visible=0, pods=0, schedule0=2, schedule1=0), 2)
    expect("the larger of two schedules", with_schedules(total=0, visible=0, pods=0, schedule0=2, schedule1=4), 4)
    expect("a backlog above a schedule", with_schedules(total=20, visible=20, pods=0, schedule0=2, schedule1=0), 10)
    with_schedules.close()

    for what, text, holds in WRONG:
        wrong = Formula(evaluator, text)
        if all(simulate(spec, wrong, tasks, run, holds) == History(peak=pods) for tasks, run, pods in LOADS):
            found.append(f"the simulation finds nothing wrong with {what}")
        wrong.close()
    return found
