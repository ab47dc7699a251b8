"""Karpenter with its AWS provider, as its own chart configures it, on the EC2 that moto simulates."""

from pathlib import Path

import requests
import yaml

from control_plane import ControlPlane
import crds
from machines import INTERRUPTIONS, Machines
from processes import Processes, free_port, wait_until
from release import Helm
import versions

NAMESPACE, USER = "kube-system", "system:serviceaccount:kube-system:karpenter"
ROLES = {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"}


class Karpenter:
    def __init__(self, processes: Processes, control_plane: ControlPlane, programs: Path, helm: Helm, machines: Machines):
        chart = crds.module_folder(versions.module("KARPENTER_VERSION")) / "charts" / "karpenter"
        settings = f"settings.clusterName=check,settings.interruptionQueue={INTERRUPTIONS}"
        rendered = helm.template("karpenter", chart, NAMESPACE, "--set", settings)
        documents = [document for document in yaml.safe_load_all(rendered) if document]
        control_plane.apply([document for document in documents if document["kind"] in ROLES])

        health = free_port()
        env = _variables(documents) | machines.env | {
            "KUBECONFIG": str(control_plane.kubeconfig_of(USER)), "CLUSTER_ENDPOINT": control_plane.url,
            "METRICS_PORT": str(free_port()), "HEALTH_PROBE_PORT": str(health),
            # There is one, and nobody to take over.
            "DISABLE_LEADER_ELECTION": "true", "SYSTEM_NAMESPACE": NAMESPACE,
            # moto has no prices; in a VPC of its own Karpenter takes those that it is built with.
            "ISOLATED_VPC": "true",
        }
        processes.start("karpenter", programs / "karpenter", env=env)
        wait_until("Karpenter is ready", 180, lambda: processes.must_run() and _is_ready(health))


def _is_ready(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def _variables(documents: list[dict]) -> dict[str, str]:
    """What the chart's Deployment sets, but for what comes from its pod."""
    deployment = next(document for document in documents if document["kind"] == "Deployment")
    variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    return {variable["name"]: variable["value"] for variable in variables if "value" in variable}
