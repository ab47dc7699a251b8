"""Replicas and messages over time."""

from dataclasses import dataclass
import threading
import time

from botocore.exceptions import BotoCoreError
import requests

from api import Api
from darkroom import RUNTIME, Darkroom
from release import NAMESPACE

DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{RUNTIME}"


@dataclass
class Sample:
    second: int
    wanted: int
    ready: int
    waiting: int
    in_flight: int


class Recorder:
    """A sample each second, while it is used as a context manager."""

    def __init__(self, api: Api, darkroom: Darkroom):
        self._api, self._darkroom = api, darkroom
        self.samples: list[Sample] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._record, daemon=True)

    def __enter__(self) -> "Recorder":
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def last(self) -> Sample | None:
        return self.samples[-1] if self.samples else None

    @property
    def peak(self) -> int:
        return max((sample.wanted for sample in self.samples), default=0)

    def lowest_with_work(self, begun: int) -> int:
        """The fewest replicas that were wanted since a second, in any sample in which tasks were in flight."""
        return min((sample.wanted for sample in self.samples if begun <= sample.second and sample.in_flight), default=0)

    def second_of(self, condition) -> int | None:
        """The first second of a sample that satisfies the condition."""
        return next((sample.second for sample in self.samples if condition(sample)), None)

    def replicas(self) -> str:
        """The number of replicas whenever it changed: `0 s: 0, 6 s: 1, …`."""
        changes, previous = [], None
        for sample in self.samples:
            if sample.wanted != previous:
                changes.append(f"{sample.second} s: {sample.wanted}")
                previous = sample.wanted
        return ", ".join(changes)

    def _record(self) -> None:
        while not self._stopping.wait(1):
            try:
                deployment = self._api.get(DEPLOYMENT)
                waiting, in_flight = self._darkroom.messages()
            except (requests.RequestException, BotoCoreError):
                continue
            if deployment is None:
                continue
            ready = deployment.get("status", {}).get("readyReplicas", 0)
            second = round(time.monotonic() - self._begun)
            self.samples.append(Sample(second, deployment["spec"]["replicas"], ready, waiting, in_flight))
