"""Every example of the chart passes the API server's validation, and its pods the `restricted` Pod Security Standard."""

import copy
import json

import charts
from cluster import PODS, Cluster
from processes import Fault

ACCOUNTS = "/api/v1/namespaces/darkroom/serviceaccounts"


def run(cluster: Cluster) -> list[str]:
    manifests, deployments = 0, []
    for case in charts.value_files():
        documents = charts.documents(charts.render(cluster.helm.program, case))
        apply(cluster, documents)
        manifests += len(documents)
        deployments += [document for document in documents if document["kind"] == "Deployment"]
    for deployment in deployments:
        create_pod(cluster, deployment)
    mistakes_are_refused(cluster, deployments[0])
    return [f"{len(charts.value_files())} examples, {manifests} manifests and {len(deployments)} pods pass"]


def apply(cluster: Cluster, documents: list[dict]) -> None:
    """Strict: an unknown field is a fault, and so is a warning, as Pod Security has for Deployments."""
    text = "\n---\n".join(json.dumps(document) for document in documents)
    strict = ["--server-side", "--dry-run=server", "--validate=strict", "--warnings-as-errors"]
    cluster.must("apply", *strict, "--filename", "-", stdin=text)


def create_pod(cluster: Cluster, deployment: dict) -> None:
    """Pod Security only warns about a Deployment; what it refuses is the pod."""
    template = deployment["spec"]["template"]
    account = template["spec"]["serviceAccountName"]
    cluster.api.apply(f"{ACCOUNTS}/{account}", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account}})
    metadata = template["metadata"] | {"name": "example"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    cluster.api.create(f"{PODS}?dryRun=All", pod)
    cluster.api.delete(f"{ACCOUNTS}/{account}")


def mistakes_are_refused(cluster: Cluster, deployment: dict) -> None:
    """A validation that lets these pass proves nothing."""
    misspelt = copy.deepcopy(deployment)
    misspelt["spec"]["template"]["spec"]["terminationGraceSeconds"] = 1
    privileged = copy.deepcopy(deployment)
    privileged["spec"]["template"]["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    for what, attempt in [
        ("a misspelt field", lambda: apply(cluster, [misspelt])),
        ("privilege escalation", lambda: create_pod(cluster, privileged)),
    ]:
        try:
            attempt()
        except Exception:
            continue
        raise Fault(f"{what} is accepted")
