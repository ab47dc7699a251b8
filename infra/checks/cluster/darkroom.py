"""Front door and AWS APIs, as the local stack has them; tasks that go in, and results that come out."""

from concurrent.futures import ThreadPoolExecutor
import json
from pathlib import Path
import threading

import boto3
from botocore.exceptions import BotoCoreError

import local_stack
from processes import Fault, Processes

REGION, ACCOUNT, RUNTIME = "us-east-1", "000000000000", "sdruntime"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}


class Darkroom:
    def __init__(self, processes: Processes, programs: Path, folder: Path):
        configuration = Path(__file__).parent / "deployment.yaml"
        self.url, self.aws_url = local_stack.start(
            processes, programs / "local-stack", configuration, RUNTIME, "sdwebui", folder / "data"
        )
        self._client = local_stack.client()
        self.env = CREDENTIALS | {"AWS_ENDPOINT_URL": self.aws_url}
        self._sqs = boto3.client(
            "sqs", endpoint_url=self.aws_url, region_name=REGION, aws_access_key_id="test", aws_secret_access_key="test"
        )
        self._queue = f"{self.aws_url}/{ACCOUNT}/darkroom-{RUNTIME}"
        self._submitted: list[str] = []
        # By the id of a task, the status of each of its notifications.
        self._notified: dict[str, list[str]] = {}
        threading.Thread(target=self._collect, daemon=True).start()

    def submit(self, count: int, name: str) -> list[str]:
        """Submits tasks; each is published when this returns."""
        ids = [f"{name}-{number}" for number in range(count)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(self._submit, ids))
        self._submitted += ids
        return ids

    def messages(self) -> tuple[int, int]:
        """Messages of the queue that wait, and that are in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=names)["Attributes"]
        return int(attributes[names[0]]), int(attributes[names[1]])

    def all_done(self, ids: list[str]) -> bool:
        return all(task in self._notified for task in ids)

    def faults(self, ids: list[str]) -> list[str]:
        """Tasks without a result, or with another than success."""
        lost = [f"{task} has no result" for task in ids if task not in self._notified]
        return lost + [f"{task}: {self._notified[task]}" for task in ids if set(self._notified.get(task, [])) - {"succeeded"}]

    def repeated(self, ids: list[str]) -> int:
        """Notifications beyond one for each task; at-least-once delivery allows some."""
        return sum(len(self._notified.get(task, [])) - 1 for task in ids if task in self._notified)

    def balance(self) -> str:
        """Tasks in and results out, of all scenarios together; a fault if they differ."""
        faults = self.faults(self._submitted)
        if faults or any(self.messages()):
            raise Fault("; ".join(faults) or f"messages are left: {self.messages()}")
        return f"{len(self._submitted)} tasks, {len(self._submitted)} results"

    def _submit(self, task: str) -> None:
        metadata = {"id": task, "runtime": RUNTIME, "tasktype": "text-to-image", "prefix": "output"}
        content = {"prompt": f"a lighthouse, {task}", "steps": 8, "width": 64, "height": 64}
        response = self._client.post(f"{self.url}/v1alpha2", json={"task": {"metadata": metadata, "content": content}}, timeout=30)
        response.raise_for_status()

    def _collect(self) -> None:
        url = f"{self.aws_url}/{ACCOUNT}/darkroom-results-check"
        while True:
            try:
                received = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20)
            except BotoCoreError:
                # The stack has been stopped.
                return
            for message in received.get("Messages", []):
                notification = json.loads(message["Body"])
                if notification["status"] != "running":
                    self._notified.setdefault(notification["id"], []).append(notification["task_status"])
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
