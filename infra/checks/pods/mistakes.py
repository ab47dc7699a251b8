"""Deliberate mistakes in the stand-in and its pod. If one passes, the check has no value, so these run first."""

from dataclasses import replace
from typing import Callable, Iterator

from cases import Case
from processes import Fault

COMMAND = ["/tini", "--", "/simulated-runtime", "comfyui", "--listen"]


def of(case: Case) -> Iterator[tuple[str, str, Case]]:
    """What is wrong, a part of the fault, and the case with it."""
    root = {"runtime": {"command": [*COMMAND, "0.0.0.0:8080", "--folder", "/outputs"]}}
    yield "a runtime that writes into its root", "not found where the node says that it saved", replace(case, values=root)
    yield "an engine that leaves the root writable", "'root': 'rw'", replace(case, ignored="--read-only")
    yield "an engine that leaves capabilities", "is not confined", replace(case, ignored="--cap-drop=ALL")
    port = {"runtime": {"command": [*COMMAND, "0.0.0.0:9"]}}
    yield "a runtime that takes a port of root's", "Permission denied", replace(case, values=port)
    deaf = {"runtime": {"command": [*COMMAND, "0.0.0.0:8081"]}, "deadlines": {"startup": 60}}
    yield "a runtime that answers no probe", "runtime fails a probe", replace(case, values=deaf)
    yield "an image of another size", "instead of", replace(case, size=[1, 1])


def refuse(case: Case, run: Callable[[Case], object]) -> int:
    """How many there are; each must be refused for its own reason."""
    count = 0
    for what, reason, wrong in of(case):
        try:
            run(wrong)
        except Fault as fault:
            if reason not in str(fault):
                raise Fault(f"{what} is refused for another reason: {fault}") from None
        else:
            raise Fault(f"{what} passes")
        count += 1
    return count
