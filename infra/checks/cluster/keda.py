"""KEDA: its operator, its metrics adapter behind the API server, and its admission webhooks, with the rights of its own manifests."""

from pathlib import Path
import subprocess

import yaml

from control_plane import ControlPlane
import crds
from processes import Fault, Processes, free_port, listens, wait_until
import versions

NAMESPACE, USER = "keda", "system:serviceaccount:keda:keda-operator"
METRICS = "v1beta1.external.metrics.k8s.io"
# What runs as processes here instead of pods, and what is registered below with addresses of its own.
NOT_APPLIED = {"Deployment", "Service", "APIService", "ValidatingWebhookConfiguration", "Kustomization"}


class Keda:
    """`aws` are variables that lead its SQS scaler to a queue that is not AWS's own."""

    def __init__(self, processes: Processes, control_plane: ControlPlane, programs: Path, aws: dict[str, str], folder: Path):
        self._processes, self._api, self._programs, self._folder = processes, control_plane.api, programs, folder
        self._config = crds.module_folder(versions.module("KEDA_VERSION")) / "config"
        self._kubeconfig = control_plane.kubeconfig_of(USER)
        self._certificates()
        control_plane.apply(self._manifests("general", "rbac", "metrics-server"))

        # Outside of a pod no file names the namespace of its secrets.
        self._env = {"KUBECONFIG": str(self._kubeconfig), "WATCH_NAMESPACE": "", "POD_NAMESPACE": NAMESPACE}
        self._env["KEDA_CLUSTER_OBJECT_NAMESPACE"] = NAMESPACE
        grpc = f"127.0.0.1:{free_port()}"
        self._start("keda-operator", "--metrics-service-bind-address", grpc, "--cert-dir", folder, *self._ports(), env=aws)
        self._start_adapter(grpc)
        self._start_webhooks()
        wait_until("KEDA's metrics are registered", 120, self._is_available)

    def _certificates(self) -> None:
        """One certificate for all three, as KEDA's operator makes it on a cluster: with it, gRPC also knows its client."""
        self._folder.mkdir(parents=True, exist_ok=True)
        ca, tls = self._folder / "ca", self._folder / "tls"
        names = ",".join(["DNS:localhost", "IP:127.0.0.1", f"DNS:keda-metrics-apiserver.{NAMESPACE}.svc"])
        (self._folder / "names").write_text(f"subjectAltName={names}\n")
        new_key = ["req", "-newkey", "rsa:2048", "-nodes"]
        _openssl(*new_key, "-x509", "-days", "2", "-subj", "/CN=KEDA", "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
        _openssl(*new_key, "-subj", "/CN=keda", "-keyout", f"{tls}.key", "-out", f"{tls}.csr")
        _openssl(
            "x509", "-req", "-in", f"{tls}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2",
            "-extfile", str(self._folder / "names"), "-out", f"{tls}.crt",
        )
        self.bundle = subprocess.run(["base64", "-w0", f"{ca}.crt"], check=True, capture_output=True, text=True).stdout

    def _manifests(self, *folders: str) -> list[dict]:
        return [
            document
            for folder in folders
            for file in sorted((self._config / folder).glob("*.yaml"))
            # kustomization.yaml may leave out its kind.
            for document in yaml.safe_load_all(file.read_text())
            if document and document.get("kind", "Kustomization") not in NOT_APPLIED
        ]

    def _start_adapter(self, grpc: str) -> None:
        port = free_port()
        kubeconfigs = [f"--{use}-kubeconfig={self._kubeconfig}" for use in ("lister", "authentication", "authorization")]
        self._start(
            "keda-metrics-apiserver", "--bind-address", "127.0.0.1", "--secure-port", str(port), "--port", str(free_port()),
            "--metrics-service-address", grpc, "--cert-dir", self._folder, "--client-ca-file", self._folder / "ca.crt",
            "--tls-cert-file", self._folder / "tls.crt", "--tls-private-key-file", self._folder / "tls.key", *kubeconfigs,
        )
        # The API server reaches a service by its address or its endpoints; neither may be a loopback address. A name may.
        service = {"type": "ExternalName", "externalName": "localhost"}
        name = "keda-metrics-apiserver"
        spec = {
            "group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100, "versionPriority": 100,
            "service": {"name": name, "namespace": NAMESPACE, "port": port}, "caBundle": self.bundle,
        }
        self._api.apply(
            f"/api/v1/namespaces/{NAMESPACE}/services/{name}",
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": service},
        )
        self._api.apply(
            f"/apis/apiregistration.k8s.io/v1/apiservices/{METRICS}",
            {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": METRICS}, "spec": spec},
        )

    def _start_webhooks(self) -> None:
        port = free_port()
        self._start("keda-admission-webhooks", "--port", str(port), "--cert-dir", self._folder, *self._ports())
        configuration = yaml.safe_load((self._config / "webhooks" / "validation_webhooks.yaml").read_text())
        for webhook in configuration["webhooks"]:
            path = webhook["clientConfig"]["service"]["path"]
            webhook["clientConfig"] = {"url": f"https://localhost:{port}{path}", "caBundle": self.bundle}
            # KEDA ignores a webhook that does not answer; here nothing would then be validated.
            webhook["failurePolicy"] = "Fail"
        wait_until("KEDA's webhooks listen", 120, lambda: self._processes.must_run() and listens(port))
        name = configuration["metadata"]["name"]
        self._api.apply(f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{name}", configuration)

    def _ports(self) -> list[str]:
        return [f"--{use}-bind-address=127.0.0.1:{free_port()}" for use in ("metrics", "health-probe")]

    def _start(self, name: str, *arguments: str | Path, env: dict[str, str] | None = None) -> None:
        self._processes.start(name, self._programs / name, *arguments, env=self._env | (env or {}))

    def _is_available(self) -> bool:
        self._processes.must_run()
        service = self._api.get(f"/apis/apiregistration.k8s.io/v1/apiservices/{METRICS}")
        conditions = (service or {}).get("status", {}).get("conditions", [])
        return any(condition["type"] == "Available" and condition["status"] == "True" for condition in conditions)


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Fault(f"openssl {arguments[0]}: {done.stderr.strip()}")
