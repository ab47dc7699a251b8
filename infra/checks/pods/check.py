#!/usr/bin/env python3
"""Starts images as the chart's pods, and has each process one task: README.md describes what it proves."""

from datetime import datetime, timezone
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

import yaml

HERE = Path(__file__).parent
INFRA = HERE.parents[1]
sys.path += [str(HERE.parent), str(HERE.parent / "cluster")]

import cases  # noqa: E402
import checkpoint  # noqa: E402
import images  # noqa: E402
import mistakes  # noqa: E402
import network  # noqa: E402
from pod import Pod  # noqa: E402
from processes import Fault, Processes, wait_until  # noqa: E402
from service import REGION, Service  # noqa: E402
import tested  # noqa: E402

LAST_PASS = HERE / "LAST_PASS"
TASK_SECONDS = 300


def main() -> int:
    options = cases.arguments(__doc__)
    folder = Path(tempfile.mkdtemp(prefix="darkroom-pods-"))
    # The pods' users pass through it.
    folder.chmod(0o755)
    print(f"logs: {folder}", flush=True)
    report, failed = [], []
    for name in options.images:
        begun = time.monotonic()
        try:
            case = cases.load(name)
            facts = run(case, options, folder / name)
            if name == cases.STAND_IN:
                count = mistakes.refuse(case, lambda wrong: run(wrong, options, folder / "mistake"))
                facts.append(f"{count} deliberate mistakes are refused")
        except Exception as fault:  # noqa: BLE001 whatever it is, the other images run
            failed.append(name)
            print(f"FAIL  {name} ({time.monotonic() - begun:.0f} s): {fault}", flush=True)
            if not isinstance(fault, Fault):
                traceback.print_exc()
            continue
        report.append(f"{name} ({time.monotonic() - begun:.0f} s): {'; '.join(facts)}")
        print(f"ok    {report[-1]}", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    shutil.rmtree(folder)
    if options.complete:
        worker = "the worker's Dockerfile" if options.build_worker else "the worker's debug program"
        first = f"{datetime.now(timezone.utc):%Y-%m-%d}, commit {tested.commit(LAST_PASS)}: {len(report)} images, with {worker}"
        LAST_PASS.write_text("\n".join([first, *report]) + "\n")
    return 0


def run(case: cases.Case, options, folder: Path) -> list[str]:
    """One image's pod, from its start to its end; what was seen."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "models").mkdir(parents=True)
    if case.checkpoint:
        checkpoint.write(folder / "models" / "Stable-diffusion" / case.checkpoint)
    # sd-server, for one, cannot bind a port while closed connections of another pod's server linger.
    network.enter_new()
    processes = Processes(folder / "logs")
    pod = None
    try:
        service = Service(processes, options.programs / "local-stack", case.runtime, case.model, folder)
        template = rendered(case, service.values(), options.helm, folder)
        pod = Pod(template, folder, folder / "models", service.credentials, case.ignored)
        return [*described(case.name), *lived(pod, service, case)]
    finally:
        if pod:
            pod.remove()
        processes.stop_all()


def lived(pod: Pod, service: Service, case: cases.Case) -> list[str]:
    startup = pod.runtime.spec["startupProbe"]
    begun = time.monotonic()
    pod.runtime.start()
    until(pod, "the startup probe passes", startup["periodSeconds"] * startup["failureThreshold"], lambda: pod.runtime.started)
    facts = [f"started in {time.monotonic() - begun:.0f} s"]
    pod.worker.start()
    until(pod, "the pod is ready", 60, lambda: pod.worker.ready)
    facts.append(f"ready after {time.monotonic() - begun:.0f} s")
    users = [pod.confined(container) for container in (pod.runtime, pod.worker)]
    facts.append(f"runtime and worker as {' and '.join(users)}, read-only roots")
    if pod.has_health_check():
        facts.append("HEALTHCHECK passes")

    begun = time.monotonic()
    task = service.submit(case.task)
    until(pod, "the task ends", TASK_SECONDS, lambda: service.task(task)["status"] not in ("queued", "running"))
    size = service.image_size(service.task(task))
    if size != case.size:
        raise Fault(f"the image has {size} pixels instead of {case.size}")
    facts.append(f"a task of {time.monotonic() - begun:.1f} s became an image of {size[0]} x {size[1]}")
    until(pod, "the worker deletes what the task left", 30, lambda: not pod.left())
    until(pod, "the liveness probes pass", 60, lambda: pod.runtime.alive and pod.worker.alive)
    return [*facts, pod.end()]


def until(pod: Pod, what: str, seconds: float, condition) -> None:
    def reached() -> bool:
        pod.keep_going()
        return condition()

    try:
        wait_until(what, seconds, reached, every=0.25)
    except Fault as fault:
        raise Fault(f"{fault}\nruntime:\n{pod.log(pod.runtime)}\nworker:\n{pod.log(pod.worker)}") from None


def rendered(case: cases.Case, worker: dict, helm: Path, folder: Path) -> dict:
    """The pod template of the chart's Deployment."""
    ours, theirs = folder / "values.yaml", folder / "case.yaml"
    ours.write_text(yaml.safe_dump({
        "runtime": {"image": images.tag(case.name), "model": case.model}, "worker": {"image": images.tag("worker")} | worker,
        "models": {"bucket": "darkroom-models"}, "aws": {"region": REGION}, "scaling": {"enabled": False}, "nodes": {"create": False},
    }))
    theirs.write_text(yaml.safe_dump(case.values))
    chart = INFRA / "chart"
    files = [chart / "presets" / f"{case.runtime}.yaml", ours, theirs]
    command = [str(helm), "template", case.runtime, str(chart), "--show-only", "templates/deployment.yaml"]
    done = subprocess.run(command + [f"--values={file}" for file in files], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Fault(f"helm: {done.stderr.strip()}")
    return yaml.safe_load(done.stdout)["spec"]["template"]


def described(name: str) -> list[str]:
    return [f"image of {images.gigabytes(name):.1f} GB", *images.origins(name)]


if __name__ == "__main__":
    sys.exit(main())
