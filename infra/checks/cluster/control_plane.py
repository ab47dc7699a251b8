"""etcd, API server, controller manager and scheduler, on loopback, as the programs of their own projects."""

import json
import os
from pathlib import Path
import subprocess

from api import Api, Kubectl
from processes import Fault, Processes, free_port, wait_until

# Who calls: a token for each, of the group that its rights come from. Components have the names that RBAC's own roles bind.
TOKENS = {
    "check": ("check-token", "system:masters"),
    "system:kube-controller-manager": ("controllers-token", ""),
    "system:kube-scheduler": ("scheduler-token", ""),
    # Not with tokens of their service accounts, which are bound to pods and expire.
    "system:serviceaccount:keda:keda-operator": ("keda-token", "system:serviceaccounts"),
    "system:serviceaccount:kube-system:karpenter": ("karpenter-token", "system:serviceaccounts"),
}


class ControlPlane:
    """`folder` gets its files; its programs are in `programs`."""

    def __init__(self, processes: Processes, programs: Path, kubectl: Path, folder: Path):
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self._folder, self._processes, self._programs = folder, processes, programs
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "apiserver.crt"
        self.kubeconfig = self.kubeconfig_of("check")

        self._keys()
        etcd = self._start_etcd()
        self._start_api_server(etcd)
        self.api = Api(self.url, self.certificate, TOKENS["check"][0])
        self.kubectl = Kubectl(kubectl, self.kubeconfig)
        wait_until("the API server is ready", 120, self._is_ready)
        self._start_controllers()

    def kubeconfig_of(self, user: str) -> Path:
        """A file by which a program calls the API server as one of `TOKENS`."""
        file = self._folder / f"{user.replace(':', '-')}.json"
        cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
        config = {
            "apiVersion": "v1", "kind": "Config", "current-context": "check",
            "clusters": [{"name": "check", "cluster": cluster}],
            "users": [{"name": "check", "user": {"token": TOKENS[user][0]}}],
            "contexts": [{"name": "check", "context": {"cluster": "check", "user": "check"}}],
        }
        file.write_text(json.dumps(config))
        os.chmod(file, 0o600)
        return file

    def apply(self, documents: list[dict]) -> None:
        """Server-side apply of objects of any kind, in this order."""
        text = "\n---\n".join(json.dumps(document) for document in documents)
        done = self.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=text)
        if done.returncode != 0:
            raise Fault(f"kubectl apply: {done.stderr.strip()}")

    def _keys(self) -> None:
        """A key for the tokens of service accounts, and a certificate by which the API server speaks for its callers."""
        key, proxy = self._folder / "service-accounts.key", self._folder / "proxy"
        _openssl("genrsa", "-out", str(key), "2048")
        _openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=front-proxy-client",
            "-keyout", f"{proxy}.key", "-out", f"{proxy}.crt",
        )
        lines = [",".join(filter(None, (token, user, user, group))) for user, (token, group) in TOKENS.items()]
        (self._folder / "tokens.csv").write_text("\n".join(lines) + "\n")

    def _start_etcd(self) -> str:
        client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        self._processes.start(
            "etcd", self._programs / "etcd", "--data-dir", self._folder / "etcd", "--unsafe-no-fsync",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
        )
        return client

    def _start_api_server(self, etcd: str) -> None:
        folder, proxy = self._folder, self._folder / "proxy"
        self._processes.start(
            "kube-apiserver", self._programs / "kube-apiserver",
            "--etcd-servers", etcd, "--secure-port", str(self.port), "--bind-address", "127.0.0.1",
            "--cert-dir", folder, "--service-cluster-ip-range", "10.100.0.0/24",
            # The endpoints of the service `kubernetes` may not be loopback addresses.
            "--endpoint-reconciler-type", "none",
            "--authorization-mode", "Node,RBAC", "--token-auth-file", folder / "tokens.csv",
            "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", folder / "service-accounts.key",
            "--service-account-signing-key-file", folder / "service-accounts.key",
            # So that KEDA's metrics adapter, behind the API server, knows who asks.
            "--requestheader-client-ca-file", f"{proxy}.crt", "--requestheader-allowed-names", "front-proxy-client",
            "--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
            "--requestheader-extra-headers-prefix", "X-Remote-Extra-",
            "--proxy-client-cert-file", f"{proxy}.crt", "--proxy-client-key-file", f"{proxy}.key",
        )

    def _start_controllers(self) -> None:
        self._start_client(
            "kube-controller-manager",
            # As on EKS: each controller with the rights of its own service account.
            "--use-service-account-credentials", "--root-ca-file", self.certificate,
            "--service-account-private-key-file", self._folder / "service-accounts.key",
        )
        self._start_client("kube-scheduler")

    def _start_client(self, name: str, *arguments: str | Path) -> None:
        """A component that only calls the API server, as the user of its name."""
        kubeconfig = self.kubeconfig_of(f"system:{name}")
        self._processes.start(
            name, self._programs / name, "--kubeconfig", kubeconfig, "--leader-elect=false",
            "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig,
            "--bind-address", "127.0.0.1", "--secure-port", str(free_port()), "--cert-dir", self._folder / name,
            *arguments,
        )

    def _is_ready(self) -> bool:
        self._processes.must_run()
        return self.certificate.exists() and self.api.is_ready()


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
