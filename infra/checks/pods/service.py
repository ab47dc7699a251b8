"""Front door and AWS APIs, as the local stack has them, for one runtime; a task that goes in, and the image that comes out."""

from pathlib import Path
import struct

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry
import yaml

from processes import Fault, Processes, free_port, wait_until

REGION, ACCOUNT, KEY = "us-east-1", "000000000000", "check"
PNG = b"\x89PNG\r\n\x1a\n"


class Service:
    def __init__(self, processes: Processes, program: Path, runtime: str, model: str, folder: Path):
        self.url, aws = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        # What EKS and the region would give to the worker.
        self.credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": aws}
        self._processes, self._headers, self._runtime = processes, {"x-api-key": KEY}, runtime
        # A model may take all processors, so that the front door's calls time out.
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(max_retries=Retry(total=5, backoff_factor=1, status_forcelist=[503])))
        deployment = folder / "deployment.yaml"
        of_runtime = {"name": runtime, "type": runtime} | ({"model": model} if model else {})
        deployment.write_text(yaml.safe_dump({"region": REGION, "modelBucket": "models", "runtimes": [of_runtime]}))
        processes.start(
            "local-stack", program, "--config", deployment, "--listen", self.url.removeprefix("http://"),
            "--aws-listen", aws.removeprefix("http://"), "--data-dir", folder / "data", "--api-key", KEY,
            # Nothing listens there. So the stack's own worker, which waits for its runtime, receives nothing.
            "--runtime", f"{runtime}={runtime}:http://127.0.0.1:9",
        )
        wait_until("the front door answers", 60, self._is_up)

    def values(self) -> dict:
        """The chart's, as the stacks set them."""
        return {
            "queueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/darkroom-{self._runtime}",
            "completionTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:darkroom-completions",
            "resultsBucket": "darkroom-output", "recordTable": "darkroom-tasks",
        }

    def submit(self, task: dict) -> str:
        response = requests.post(f"{self.url}/v1/tasks", json={"runtime": self._runtime} | task, headers=self._headers, timeout=30)
        if response.status_code != 202:
            raise Fault(f"the task is refused: {response.text}")
        return response.json()["id"]

    def task(self, task: str) -> dict:
        response = self._session.get(f"{self.url}/v1/tasks/{task}", headers=self._headers, timeout=30)
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

    def _is_up(self) -> bool:
        self._processes.must_run()
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False
