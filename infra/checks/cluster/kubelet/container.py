"""A container of a pod: the process that stands for it, its probes, and its status."""

from datetime import datetime, timezone
import os
from pathlib import Path
import signal
import subprocess

from kubelet.probes import Probe


def now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Container:
    """`command` stands for the image. `address` is the pod's."""

    def __init__(self, spec: dict, address: str, command: list[str], env: dict[str, str], log: Path):
        self.spec, self.name = spec, spec["name"]
        self._address, self._command, self._env, self._log = address, command, env, log
        self._process: subprocess.Popen | None = None
        self._restarts, self._started_at = 0, ""
        self._probes: dict[str, Probe] = {}

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._started_at = now()
        ports = {port["name"]: port["containerPort"] for port in self.spec.get("ports", [])}
        self._probes = {
            kind: Probe(self.spec[f"{kind}Probe"], self._address, ports)
            for kind in ("startup", "readiness", "liveness")
            if f"{kind}Probe" in self.spec
        }

    @property
    def created(self) -> bool:
        return self._process is not None

    @property
    def running(self) -> bool:
        return self.created and self._process.poll() is None

    @property
    def started(self) -> bool:
        return self.running and ("startup" not in self._probes or self._probes["startup"].passed)

    @property
    def ready(self) -> bool:
        return self.started and ("readiness" not in self._probes or self._probes["readiness"].passed)

    @property
    def alive(self) -> bool:
        return self.running and ("liveness" not in self._probes or self._probes["liveness"].passed)

    @property
    def failed(self) -> bool:
        """Its startup or liveness probe has failed as often as it may."""
        return any(self._probes[kind].failed for kind in ("startup", "liveness") if kind in self._probes)

    def probe(self) -> None:
        """Runs the probes that are due: the startup probe until it passes, then the others."""
        if not self.started:
            if self.running:
                self._probes["startup"].run_if_due()
            return
        for kind in ("readiness", "liveness"):
            if kind in self._probes:
                self._probes[kind].run_if_due()

    def restart_if_needed(self) -> None:
        """As `restartPolicy: Always`: what has ended, or fails its startup or liveness probe, starts again."""
        if not self.created:
            return
        if self.running and not self.failed:
            return
        self.end(10)
        self._restarts += 1
        self.start()

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process:
            self._process.wait()

    def end(self, seconds: float) -> None:
        """SIGTERM, and SIGKILL for what is left after `seconds`."""
        self.terminate()
        try:
            if self._process:
                self._process.wait(max(seconds, 0))
        except subprocess.TimeoutExpired:
            self.kill()

    def status(self) -> dict:
        status = {
            "name": self.name, "image": self.spec["image"], "imageID": "", "restartCount": self._restarts,
            "ready": self.ready, "started": self.started,
        }
        if not self.created:
            return status | {"state": {"waiting": {"reason": "PodInitializing"}}}
        status["containerID"] = f"process://{self._process.pid}"
        if self.running:
            return status | {"state": {"running": {"startedAt": self._started_at}}}
        code = self._process.returncode
        return status | {"state": {"terminated": {"exitCode": code if code >= 0 else 128 - code, "startedAt": self._started_at}}}

    def _signal(self, number: int) -> None:
        if self.running:
            os.killpg(self._process.pid, number)
