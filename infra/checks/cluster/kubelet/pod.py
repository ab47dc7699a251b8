"""The life of a pod on a node, from its start to its deletion."""

import os
from pathlib import Path
import shutil
import threading
import time

from api import STRATEGIC, Api
from kubelet.container import Container, now
from kubelet.volumes import Volumes

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Pod(threading.Thread):
    """Runs the pod until it is deleted, as a kubelet does: the sidecar, then the worker; in the end the worker first."""

    def __init__(self, api: Api, pod: dict, address: str, commands, folder: Path):
        super().__init__(name=pod["metadata"]["name"], daemon=True)
        self._api, self._pod, self._address, self._folder = api, pod, address, folder
        metadata = pod["metadata"]
        self.path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._commands = commands
        self._started_at, self._reported = now(), None
        self._conditions: dict[str, dict] = {}
        # Set from outside: the API object has a deletion timestamp, and since when; or the whole node is gone.
        self.deletion = threading.Event()
        self.grace = 0
        self.node_gone = threading.Event()
        self.sidecar: Container | None = None
        self.main: Container | None = None

    def run(self) -> None:
        try:
            volumes = Volumes(self._api, self._pod, self._folder)
            self.sidecar = self._container(self._pod["spec"]["initContainers"][0], volumes)
            self.main = self._container(self._pod["spec"]["containers"][0], volumes)
            while volumes.unbound() and not self._over():
                self._report("Pending")
                time.sleep(1)
            self._live()
            self._end()
        finally:
            for container in (self.main, self.sidecar):
                if container:
                    container.kill()

    def _over(self) -> bool:
        return self.deletion.is_set() or self.node_gone.is_set()

    def _live(self) -> None:
        if not self._over():
            self.sidecar.start()
        while not self._over():
            if self.sidecar.started and not self.main.created:
                self.main.start()
            for container in (self.sidecar, self.main):
                container.probe()
                container.restart_if_needed()
            self._report("Running" if self.main.created else "Pending")
            time.sleep(0.25)

    def _end(self) -> None:
        """SIGTERM to the worker; to the sidecar when the worker is gone; SIGKILL to both when the grace period is over."""
        deadline = time.monotonic() + self.grace
        self.main.terminate()
        while self.main.running and time.monotonic() < deadline and not self.node_gone.is_set():
            self.main.probe()
            self._report("Running")
            time.sleep(0.25)
        if self.node_gone.is_set():
            return
        self.main.end(0)
        self.sidecar.end(max(deadline - time.monotonic(), 2))
        self._report("Succeeded")
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._pod["metadata"]["uid"]}}
        self._api.delete(self.path, options)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _container(self, spec: dict, volumes: Volumes) -> Container:
        env = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        env |= {variable["name"]: volumes.path(spec, self._value(variable)) for variable in spec.get("env", [])}
        env["HOSTNAME"] = self._pod["metadata"]["name"]
        token = volumes.folder_at(spec, SERVICE_ACCOUNT)
        if token:
            env["SERVICE_ACCOUNT_FOLDER"] = str(token)
        host, port = self._api.url.removeprefix("https://").split(":")
        env |= {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        command, more = self._commands(self._pod, spec, self._address)
        log = self._folder.parent / f"{self._pod['metadata']['name']}.{spec['name']}.log"
        return Container(spec, self._address, command, env | more, log)

    def _value(self, variable: dict) -> str:
        """All pods are on this machine: what a pod calls `localhost` or any address is the pod's own loopback address."""
        if "valueFrom" in variable:
            field = variable["valueFrom"]["fieldRef"]["fieldPath"].removeprefix("metadata.")
            return self._pod["metadata"][field]
        return variable.get("value", "").replace("localhost:", f"{self._address}:").replace("0.0.0.0:", f"{self._address}:")

    def _report(self, phase: str) -> None:
        """Patches the status when it has changed."""
        ready = phase == "Running" and self.main.ready and self.sidecar.started
        initialized = self.sidecar.started or phase == "Succeeded"
        conditions = {"Initialized": initialized, "ContainersReady": ready, "Ready": ready, "PodReadyToStartContainers": True}
        status = {
            "phase": phase, "hostIP": "127.0.0.1", "podIP": self._address, "podIPs": [{"ip": self._address}],
            "startTime": self._started_at,
            "conditions": [self._condition(kind, holds) for kind, holds in conditions.items()],
            "initContainerStatuses": [self.sidecar.status()],
            "containerStatuses": [self.main.status()],
        }
        if status != self._reported:
            self._api.patch(f"{self.path}/status", {"status": status}, STRATEGIC)
            self._reported = status

    def _condition(self, kind: str, holds: bool) -> dict:
        """With the time of its last change, by which ReplicaSets know how long a pod has been ready."""
        previous = self._conditions.get(kind)
        if previous is None or previous["status"] != str(holds):
            self._conditions[kind] = {"type": kind, "status": str(holds), "lastTransitionTime": now()}
        return self._conditions[kind]
