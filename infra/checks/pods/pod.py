"""A pod of the chart on this machine: podman runs what its manifest says, in the order of a kubelet."""

import json
import os
from pathlib import Path
import subprocess
import time

from kubelet.container import Container
from processes import Fault

ADDRESS = "127.0.0.1"
# Fields of a container that are carried out here, and those that have no effect here: scheduling, pulling, and names of ports.
CARRIED_OUT = {"name", "image", "command", "args", "env", "startupProbe", "livenessProbe", "readinessProbe", "securityContext", "volumeMounts"}
WITHOUT_EFFECT = {"imagePullPolicy", "restartPolicy", "ports", "resources"}
SECURITY = {"runAsUser", "runAsGroup", "runAsNonRoot", "readOnlyRootFilesystem", "allowPrivilegeEscalation", "capabilities"}


class Pod:
    """`models` is the folder that stands for the bucket, `credentials` are the worker's variables that EKS and AWS would give,
    and `ignored` is an option that podman is not given."""

    def __init__(self, template: dict, folder: Path, models: Path, credentials: dict[str, str], ignored: str):
        self._spec, self._folder, self._models, self._ignored = template["spec"], folder, models, ignored
        self.runtime = self._container(self._spec["initContainers"][0], {})
        self.worker = self._container(self._spec["containers"][0], credentials)

    def keep_going(self) -> None:
        """Probes, and a fault where a kubelet would start a container again."""
        for container in (self.runtime, self.worker):
            if container.created:
                container.probe()
                status = container.status()
                if not container.running:
                    raise Fault(f"{container.name} ended: {status['state']}\n{self.log(container)}")
                if container.failed:
                    raise Fault(f"{container.name} fails a probe\n{self.log(container)}")

    def end(self) -> str:
        """The worker first, as for a native sidecar. A fault if SIGTERM does not end it within the grace period."""
        begun, grace = time.monotonic(), self._spec["terminationGracePeriodSeconds"]
        for container in (self.worker, self.runtime):
            container.end(grace - (time.monotonic() - begun))
            code = container.status()["state"]["terminated"]["exitCode"]
            # 143 is a program that SIGTERM ended.
            if code not in (0, 143):
                raise Fault(f"{container.name} ended with {code}\n{self.log(container)}")
        return f"ended on SIGTERM in {time.monotonic() - begun:.0f} s"

    def remove(self) -> None:
        for container in (self.worker, self.runtime):
            podman("rm", "--force", "--ignore", "--time", "0", name(container.spec))

    def log(self, container: Container) -> str:
        """The last lines; none before it starts."""
        path = self._folder / f"{container.name}.log"
        return "\n".join(path.read_text(errors="replace").splitlines()[-25:]) if path.exists() else ""

    def confined(self, container: Container) -> str:
        """What the kernel says about the container's first process, against the manifest. A flag that an engine ignores is a fault."""
        process = Path("/proc") / podman("inspect", "--format", "{{.State.Pid}}", name(container.spec))
        status = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines() if ":\t" in line)
        root = next(line.split() for line in (process / "mountinfo").read_text().splitlines() if line.split()[4] == "/")
        user = str(container.spec["securityContext"]["runAsUser"])
        wanted = {"Uid": user, "Gid": user, "CapBnd": "0" * 16, "CapEff": "0" * 16, "NoNewPrivs": "1", "Seccomp": "2", "root": "ro"}
        found = {key: status.get(key, "").split()[0] for key in wanted if key != "root"} | {"root": root[5].split(",")[0]}
        if found != wanted:
            raise Fault(f"{container.name} is not confined as its manifest says: {found}")
        return f"user {user}"

    def has_health_check(self) -> bool:
        """Whether the runtime's image has a HEALTHCHECK; a fault if it fails. No kubelet runs it, but other engines do."""
        if podman("image", "inspect", "--format", "{{.HealthCheck}}", self.runtime.spec["image"]) == "<nil>":
            return False
        command = ["podman", "healthcheck", "run", name(self.runtime.spec)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            raise Fault("the image's HEALTHCHECK fails")
        return True

    def left(self) -> list[Path]:
        """Files that the runtime saved where the worker is to delete them: in its scratch folder, if that is shared."""
        shared = "scratch" in [mount["name"] for mount in self.worker.spec["volumeMounts"]]
        folders = [self._folder / "scratch" / folder for folder in ("output", "temp") if shared]
        return [path for folder in folders for path in folder.rglob("*") if path.is_file()]

    def _container(self, spec: dict, more: dict[str, str]) -> Container:
        unknown = set(spec) - CARRIED_OUT - WITHOUT_EFFECT | set(spec["securityContext"]) - SECURITY
        if unknown:
            raise Fault(f"pod.py does not know what to do with {', '.join(sorted(unknown))} of {spec['name']}")
        # The environment is podman's; the container's is in the command.
        return Container(spec, ADDRESS, self._command(spec, more), dict(os.environ), self._folder / f"{spec['name']}.log")

    def _command(self, spec: dict, more: dict[str, str]) -> list[str]:
        security = spec["securityContext"]
        command = ["podman", "run", "--rm", "--replace", "--name", name(spec), "--pull", "never", "--network", "host", "--http-proxy=false"]
        command += ["--user", f"{security['runAsUser']}:{security['runAsGroup']}"]
        command += [f"--cap-drop={capability}" for capability in security["capabilities"]["drop"]]
        if security["readOnlyRootFilesystem"]:
            # podman would otherwise make /tmp, /run and others writable.
            command += ["--read-only", "--read-only-tmpfs=false"]
        if not security["allowPrivilegeEscalation"]:
            command += ["--security-opt", "no-new-privileges"]
        for key, value in ({v["name"]: v.get("value", "") for v in spec.get("env") or []} | more).items():
            command += ["--env", f"{key}={value}"]
        for mount in spec.get("volumeMounts", []):
            access = "ro" if mount.get("readOnly") else "rw"
            command += ["--volume", f"{self._volume(mount['name'])}:{mount['mountPath']}:{access}"]
        if "command" in spec:
            command += ["--entrypoint", json.dumps(spec["command"])]
        return [*(part for part in command if part != self._ignored), spec["image"], *spec.get("args", [])]

    def _volume(self, wanted: str) -> Path:
        volume = next(volume for volume in self._spec["volumes"] if volume["name"] == wanted)
        if "persistentVolumeClaim" in volume:
            return self._models
        if "emptyDir" not in volume:
            raise Fault(f"pod.py cannot make the volume {wanted}")
        folder = self._folder / wanted
        folder.mkdir(exist_ok=True)
        # As a kubelet's.
        folder.chmod(0o777)
        return folder


def name(spec: dict) -> str:
    return f"darkroom-check-{spec['name']}"


def podman(*arguments: str) -> str:
    return subprocess.run(["podman", *arguments], capture_output=True, text=True, check=True).stdout.strip()
