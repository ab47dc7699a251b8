"""EC2 as moto simulates it: the surroundings of the nodes, and the machines, which become nodes when Karpenter has launched them."""

from datetime import datetime, timezone
import json
from pathlib import Path
import sys
import threading
import uuid

import boto3
from botocore.exceptions import BotoCoreError, ClientError
import requests
import yaml

from api import Api
from darkroom import CREDENTIALS, REGION
from kubelet.nodes import Kubelets
from processes import Processes, free_port, listens, wait_until
from release import CHART

ROLE, INTERRUPTIONS = "darkroom-gpu-nodes", "darkroom-interruptions"
CLAIMS = "/apis/karpenter.sh/v1/nodeclaims"
# With it a kubelet registers, so that no pod comes before Karpenter has put labels and taints on the node.
UNREGISTERED = {"key": "karpenter.sh/unregistered", "effect": "NoExecute"}
# Mountpoint's driver takes it off once it runs; here that is when Karpenter has registered the node.
NO_DRIVER, REGISTERED = "s3.csi.aws.com/agent-not-ready", "karpenter.sh/registered"
# The NVIDIA variant, which Karpenter takes for types with a GPU, and the one that it takes for the others.
PARAMETER = "/aws/service/bottlerocket/aws-k8s-{kubernetes}{variant}/x86_64/{version}/image_id"


class Machines:
    """`kubernetes` is the version of the cluster, as in `1.35`."""

    def __init__(self, processes: Processes, api: Api, kubelets: Kubelets, kubernetes: str):
        self._api, self._kubelets = api, kubelets
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        processes.start("moto", sys.executable, Path(__file__).parent / "moto_server.py", str(port), *_images(kubernetes))
        wait_until("moto listens", 120, lambda: processes.must_run() and listens(port))
        self.env = CREDENTIALS | {"AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true"}
        self._ec2, self._sqs, iam = (self._client(name) for name in ("ec2", "sqs", "iam"))
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument="{}")
        self._queue = self._sqs.create_queue(QueueName=INTERRUPTIONS)["QueueUrl"]
        # Node names of the machines that run, by instance id.
        self._nodes: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def values(self) -> dict:
        """What the chart's `nodes` needs to know of this account; one GPU to a node."""
        subnets = [subnet["SubnetId"] for subnet in self._ec2.describe_subnets()["Subnets"]][:2]
        groups = [group["GroupId"] for group in self._ec2.describe_security_groups()["SecurityGroups"]]
        return {
            "create": True, "clusterName": "check", "role": ROLE, "subnets": subnets, "securityGroups": groups,
            "instanceTypes": ["g5.xlarge"],
        }

    def running(self) -> set[str]:
        """Ids of the instances that cost money."""
        states = [{"Name": "instance-state-name", "Values": ["pending", "running"]}]
        reservations = self._ec2.describe_instances(Filters=states)["Reservations"]
        return {instance["InstanceId"] for reservation in reservations for instance in reservation["Instances"]}

    def instance_of(self, node: str) -> str:
        return next(instance for instance, name in list(self._nodes.items()) if name == node)

    def announce_interruption(self, instance: str) -> None:
        """As EventBridge sends it, two minutes before EC2 takes the machine."""
        event = {
            "version": "0", "id": str(uuid.uuid4()), "detail-type": "EC2 Spot Instance Interruption Warning", "source": "aws.ec2",
            "account": "123456789012", "time": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "region": REGION,
            "resources": [f"arn:aws:ec2:{REGION}a:instance/{instance}"],
            "detail": {"instance-id": instance, "instance-action": "terminate"},
        }
        self._sqs.send_message(QueueUrl=self._queue, MessageBody=json.dumps(event))

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(10)

    def _client(self, service: str):
        credentials = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}
        return boto3.client(service, endpoint_url=self.url, **credentials)

    def _follow(self) -> None:
        while not self._stopping.wait(2):
            try:
                running = self.running()
                for instance in set(self._nodes) - running:
                    self._kubelets.lose(self._nodes.pop(instance))
                for claim in self._api.list(CLAIMS):
                    instance = claim.get("status", {}).get("providerID", "").rpartition("/")[2]
                    if instance in running and instance not in self._nodes:
                        self._boot(claim, instance)
                for node in self._nodes.values():
                    self._start_driver(node)
            except (requests.RequestException, BotoCoreError, ClientError):
                continue

    def _boot(self, claim: dict, instance: str) -> None:
        """Registers the node as its kubelet does, with the taints in the instance's user data; the device plugin is there at once."""
        name = f"{instance}.ec2.internal"
        labels = {"node.kubernetes.io/instance-type": claim["metadata"]["labels"]["node.kubernetes.io/instance-type"]}
        taints = [UNREGISTERED, *claim["spec"].get("taints", []), *claim["spec"].get("startupTaints", [])]
        capacity, allocatable = (
            {resource: amount for resource, amount in claim["status"][kind].items() if amount != "0"} for kind in ("capacity", "allocatable")
        )
        self._kubelets.add(name, labels, capacity, allocatable, claim["status"]["providerID"], taints)
        self._nodes[instance] = name

    def _start_driver(self, name: str) -> None:
        node = self._api.get(f"/api/v1/nodes/{name}")
        if node is None or REGISTERED not in node["metadata"]["labels"]:
            return
        taints = node["spec"].get("taints", [])
        others = [taint for taint in taints if taint["key"] != NO_DRIVER]
        if others != taints:
            # With the version, or a taint that Karpenter adds in between would be lost.
            version = {"resourceVersion": node["metadata"]["resourceVersion"]}
            self._api.patch(f"/api/v1/nodes/{name}", {"metadata": version, "spec": {"taints": others}})


def _images(kubernetes: str) -> list[str]:
    """Parameters and names of Bottlerocket's images, in the version of the chart's default."""
    version = yaml.safe_load((CHART / "values.yaml").read_text())["nodes"]["bottlerocketVersion"]
    return [
        f"{PARAMETER.format(kubernetes=kubernetes, variant=variant, version=version)}="
        f"bottlerocket-aws-k8s-{kubernetes}{variant}-x86_64-v{version}-00000000"
        for variant in ("", "-nvidia")
    ]
