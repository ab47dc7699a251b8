"""A kubelet's probe: an HTTP GET, again and again, and when it counts as passed or failed."""

import time

import requests


class Probe:
    def __init__(self, spec: dict, address: str, ports: dict[str, int]):
        get = spec["httpGet"]
        port = get["port"] if isinstance(get["port"], int) else ports[get["port"]]
        self._url = f"http://{address}:{port}{get['path']}"
        self._timeout, self._period = spec.get("timeoutSeconds", 1), spec.get("periodSeconds", 10)
        self._failures_allowed = spec.get("failureThreshold", 3)
        self._failures, self._due = 0, time.monotonic() + spec.get("initialDelaySeconds", 0)
        self.passed, self.failed = False, False

    def run_if_due(self) -> None:
        """`passed` after a success, `failed` after as many failures in a row as the spec allows; neither in between."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._period
        try:
            success = requests.get(self._url, timeout=self._timeout).status_code < 400
        except requests.RequestException:
            success = False
        if success:
            self._failures, self.passed, self.failed = 0, True, False
        else:
            self._failures += 1
            if self._failures >= self._failures_allowed:
                self.passed, self.failed = False, True
