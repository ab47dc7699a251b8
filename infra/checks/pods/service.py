"""Front door and AWS APIs, as the local stack has them, for one runtime; a task that goes in, and the image that comes out."""

from pathlib import Path
import struct

import requests
import yaml

import local_stack
from processes import Fault, Processes

REGION, ACCOUNT = "us-east-1", "000000000000"
PNG = b"\x89PNG\r\n\x1a\n"


class Service:
    def __init__(self, processes: Processes, program: Path, runtime: str, model: str, folder: Path):
        self._client, self._runtime = local_stack.client(), runtime
        deployment = folder / "deployment.yaml"
        of_runtime = {"name": runtime, "type": runtime} | ({"model": model} if model else {})
        deployment.write_text(yaml.safe_dump({"region": REGION, "modelBucket": "models", "runtimes": [of_runtime]}))
        self.url, aws = local_stack.start(processes, program, deployment, runtime, runtime, folder / "data")
        # What EKS and the region would give to the worker.
        self.credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": aws}

    def values(self) -> dict:
        """The chart's, as the stacks set them."""
        return {
            "queueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/darkroom-{self._runtime}",
            "completionTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:darkroom-completions",
            "resultsBucket": "darkroom-output", "recordTable": "darkroom-tasks",
        }

    def submit(self, task: dict) -> str:
        response = self._client.post(f"{self.url}/v1/tasks", json={"runtime": self._runtime} | task, timeout=30)
        if response.status_code != 202:
            raise Fault(f"the task is refused: {response.text}")
        return response.json()["id"]

    def task(self, task: str) -> dict:
        response = self._client.get(f"{self.url}/v1/tasks/{task}", timeout=30)
        # A problem has a status, too.
        if response.status_code != 200:
            raise Fault(f"the task cannot be read: {response.text}")
        return response.json()

    def image_size(self, task: dict) -> list[int]:
        """Of the task's one file, from its header: a PNG's width and height are its first chunk."""
        if task["status"] != "succeeded" or len(task["outputs"]) != 1:
            raise Fault(f"not one image: {task}")
        content = requests.get(task["outputs"][0]["url"], timeout=30).content
        if not content.startswith(PNG):
            raise Fault(f"not a PNG: {content[:32]!r}")
        return list(struct.unpack(">II", content[16:24]))
