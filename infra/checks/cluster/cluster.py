"""Everything that a scenario uses: the cluster with KEDA and Karpenter, the kubelets, AWS, and Helm."""

from dataclasses import dataclass
from pathlib import Path

import crds
from control_plane import ControlPlane
from darkroom import Darkroom
from karpenter import Karpenter
from keda import Keda
from kubelet.nodes import Kubelets
from machines import Machines
from processes import Fault, Processes, wait_until
from recorder import Recorder
from release import NAMESPACE, Helm

# A node that takes all pods of a scenario, where nodes are not the subject.
CAPACITY = {"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110", "nvidia.com/gpu": "16"}
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@dataclass
class Programs:
    """Where the programs are: of the cluster, of this workspace, and Helm with kubectl."""

    cluster: Path
    darkroom: Path
    layer: Path


class Cluster:
    def __init__(self, programs: Programs, folder: Path):
        self.folder, self._programs = folder, programs
        self.processes = Processes(folder / "logs")
        self.kubelets: Kubelets | None = None
        self.machines: Machines | None = None
        # Where an image is not what the debug programs of this workspace stand for: its programs' folder.
        self.images: dict[str, Path] = {}

    def start(self) -> None:
        programs, folder = self._programs, self.folder
        self.control_plane = ControlPlane(self.processes, programs.cluster, programs.layer / "kubectl", folder / "control-plane")
        self.api, self.kubectl = self.control_plane.api, self.control_plane.kubectl
        self._install_definitions()
        self._make_namespace()
        self._register_driver()
        self.darkroom = Darkroom(self.processes, programs.darkroom, folder)
        self.kubelets = Kubelets(self.api, self._command, folder / "pods")
        self.kubelets.add("static", {}, CAPACITY)
        self.helm = Helm(programs.layer / "helm", self.control_plane.kubeconfig, folder)
        Keda(self.processes, self.control_plane, programs.cluster, self.darkroom.env, folder / "keda")
        version = self.api.call("GET", "/version")
        self.machines = Machines(self.processes, self.api, self.kubelets, f"{version['major']}.{version['minor']}")
        Karpenter(self.processes, self.control_plane, programs.cluster, self.helm, self.machines)

    def stop(self) -> None:
        if self.machines:
            self.machines.stop()
        if self.kubelets:
            self.kubelets.stop()
        self.processes.stop_all()

    def record(self) -> Recorder:
        return Recorder(self.api, self.darkroom)

    def pods(self) -> list[dict]:
        """The runtime's pods, also those that are terminating."""
        return self.api.list(PODS)

    def ready_pods(self) -> list[dict]:
        ready = {"type": "Ready", "status": "True"}.items()
        return [
            pod for pod in self.pods()
            if "deletionTimestamp" not in pod["metadata"]
            and any(ready <= condition.items() for condition in pod["status"].get("conditions", []))
        ]

    def path_of(self, pod: dict) -> str:
        return f"{PODS}/{pod['metadata']['name']}"

    def gone(self, pod: dict) -> bool:
        return self.api.get(self.path_of(pod)) is None

    def must(self, *arguments: str, stdin: str | None = None) -> str:
        """kubectl; a fault with its message if it fails."""
        done = self.kubectl(*arguments, stdin=stdin)
        if done.returncode != 0:
            raise Fault(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def uninstall(self) -> None:
        """Removes the release, and waits until its pods are gone."""
        self.helm.uninstall()
        wait_until("the pods are gone", 150, lambda: not self.pods())

    def _install_definitions(self) -> None:
        """The custom resources of KEDA, Karpenter, the Prometheus operator and EKS Auto Mode."""
        for folder in sorted({crds.folder(group) for group in crds.GROUPS}):
            for file in sorted(folder.glob("*.yaml")):
                if "kind: CustomResourceDefinition" in file.read_text():
                    self.must("apply", "--server-side", "--filename", str(file))

    def _make_namespace(self) -> None:
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
        self.api.apply(f"/api/v1/namespaces/{NAMESPACE}", namespace)

    def _register_driver(self) -> None:
        """Mountpoint's driver, as its chart registers it: without `attachRequired: false` volumes would wait for an attacher."""
        name = "s3.csi.aws.com"
        spec = {"attachRequired": False, "podInfoOnMount": True, "requiresRepublish": True}
        driver = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": name}, "spec": spec}
        self.api.apply(f"/apis/storage.k8s.io/v1/csidrivers/{name}", driver)

    def _command(self, pod: dict, container: dict, address: str) -> tuple[list[str], dict[str, str]]:
        """What runs for a container: the real worker, or a simulated runtime of the type that the pod's label names."""
        programs = self.images.get(container["image"], self._programs.darkroom)
        if container["name"] == "worker":
            return [str(programs / "worker")], self.darkroom.env
        variables = {variable["name"]: variable.get("value", "") for variable in container["env"]}
        kind, port = pod["metadata"]["labels"]["app.kubernetes.io/component"], container["ports"][0]["containerPort"]
        command = [str(programs / "simulated-runtime"), kind, "--listen", f"{address}:{port}"]
        return command + ["--model", variables["MODEL"], "--latency-ms", variables.get("LATENCY_MS", "1000")], {}
