"""The nodes of the cluster, and the pods that are bound to them."""

from pathlib import Path
import threading
import time

import requests

from api import Api
from kubelet.container import now
from kubelet.pod import Pod

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
RENEW_SECONDS = 10


class Kubelets:
    """`commands(pod, container, address)` gives the command and the additional variables that stand for an image."""

    def __init__(self, api: Api, commands, folder: Path):
        self._api, self._commands, self._folder = api, commands, folder
        self._nodes: set[str] = set()
        self._pods: dict[str, Pod] = {}
        self._lock, self._stopping = threading.Lock(), threading.Event()
        self._next_address = 0
        folder.mkdir(parents=True, exist_ok=True)
        for work in (self._follow_pods, self._renew_leases):
            threading.Thread(target=work, daemon=True).start()

    def add(
        self, name: str, labels: dict[str, str], capacity: dict[str, str], allocatable: dict[str, str] | None = None,
        provider: str = "", taints=(),
    ) -> None:
        """Registers a node that is ready at once. Pods may take all of it, unless `allocatable` says less."""
        spec = {"taints": list(taints)} | ({"providerID": provider} if provider else {})
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"} | labels
        ready = {
            "type": "Ready", "status": "True", "reason": "KubeletReady", "lastHeartbeatTime": now(), "lastTransitionTime": now(),
        }
        status = {"capacity": capacity, "allocatable": allocatable or capacity, "conditions": [ready]}
        # With its status, as a kubelet does: Karpenter reads the memory of a type from a new node, and from no later state of it.
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "spec": spec, "status": status}
        self._api.create("/api/v1/nodes", node)
        with self._lock:
            self._nodes.add(name)
        self._renew(name)
        for pod in self._api.list(f"/api/v1/pods?fieldSelector=spec.nodeName={name}"):
            self._see(pod)

    def lose(self, name: str) -> None:
        """The machine is switched off: its processes end at once, and nothing reports that."""
        with self._lock:
            self._nodes.discard(name)
            lost = [pod for pod in self._pods.values() if pod.node == name]
        for pod in lost:
            pod.node_gone.set()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            pods = list(self._pods.values())
        for pod in pods:
            pod.node_gone.set()
        for pod in pods:
            pod.join(5)

    def _follow_pods(self) -> None:
        while not self._stopping.is_set():
            try:
                listed = self._api.call("GET", "/api/v1/pods")
                for pod in listed["items"]:
                    self._see(pod)
                for event in self._api.watch("/api/v1/pods", listed["metadata"]["resourceVersion"]):
                    if event["type"] in ("ADDED", "MODIFIED"):
                        self._see(event["object"])
                    elif event["type"] == "DELETED":
                        self._forget(event["object"])
                    else:
                        break
            except (requests.RequestException, OSError):
                time.sleep(0.5)

    def _see(self, pod: dict) -> None:
        uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
        with self._lock:
            if node not in self._nodes or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return
            running = self._pods.get(uid)
            if running is None:
                self._next_address += 1
                address = f"127.42.{self._next_address // 250}.{self._next_address % 250 + 1}"
                folder = self._folder / pod["metadata"]["name"]
                running = Pod(self._api, pod, address, self._commands, folder)
                running.node = node
                self._pods[uid] = running
                running.start()
        if "deletionTimestamp" in pod["metadata"] and not running.deletion.is_set():
            running.grace = pod["metadata"].get("deletionGracePeriodSeconds", 0)
            running.deletion.set()

    def _forget(self, pod: dict) -> None:
        """Deleted without a kubelet's consent, as the garbage collector deletes the pods of lost nodes."""
        with self._lock:
            running = self._pods.pop(pod["metadata"]["uid"], None)
        if running and not running.deletion.is_set():
            running.node_gone.set()

    def _renew_leases(self) -> None:
        while not self._stopping.wait(RENEW_SECONDS):
            with self._lock:
                nodes = list(self._nodes)
            for node in nodes:
                self._renew(node)

    def _renew(self, node: str) -> None:
        spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now().replace("Z", ".000000Z")}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node}, "spec": spec}
        try:
            self._api.apply(f"{LEASES}/{node}", lease)
        except requests.RequestException:
            pass
