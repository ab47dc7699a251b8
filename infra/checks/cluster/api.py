"""Kubernetes' REST API: paths as in its reference, objects as dictionaries."""

import json
from pathlib import Path
import subprocess
from typing import Iterator

import requests

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class Api:
    def __init__(self, url: str, certificate: Path, token: str):
        self.url = url
        self._certificate, self._token = certificate, token

    def is_ready(self) -> bool:
        """Whether the server is, with all that it makes at its start, such as the roles of the controllers."""
        try:
            return requests.get(f"{self.url}/readyz", verify=str(self._certificate), timeout=5).ok
        except requests.RequestException:
            return False

    def call(self, method: str, path: str, body: dict | None = None, content_type: str = "application/json") -> dict:
        """The response's object; an HTTP error is a `requests.HTTPError` with the server's reason."""
        response = requests.request(
            method, self.url + path, verify=str(self._certificate), timeout=30,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": content_type},
            data=None if body is None else json.dumps(body),
        )
        if not response.ok:
            raise requests.HTTPError(f"{method} {path}: {response.status_code} {response.text[:500]}", response=response)
        return response.json()

    def get(self, path: str) -> dict | None:
        """None if there is no such object."""
        try:
            return self.call("GET", path)
        except requests.HTTPError as error:
            if error.response.status_code == 404:
                return None
            raise

    def list(self, path: str) -> list[dict]:
        return (self.get(path) or {}).get("items") or []

    def create(self, path: str, body: dict) -> dict:
        return self.call("POST", path, body)

    def patch(self, path: str, body: dict, kind: str = MERGE) -> dict | None:
        """None if there is no such object."""
        try:
            return self.call("PATCH", path, body, kind)
        except requests.HTTPError as error:
            if error.response.status_code == 404:
                return None
            raise

    def apply(self, path: str, body: dict) -> dict:
        """Server-side apply: creates or changes."""
        return self.call("PATCH", f"{path}?fieldManager=check&force=true", body, "application/apply-patch+yaml")

    def delete(self, path: str, options: dict | None = None) -> None:
        """Nothing if there is no such object."""
        try:
            self.call("DELETE", path, options)
        except requests.HTTPError as error:
            if error.response.status_code not in (404, 409):
                raise

    def watch(self, path: str, version: str) -> Iterator[dict]:
        """Events after `version`, until the server closes the connection; it does after minutes."""
        response = requests.get(
            f"{self.url}{path}?watch=1&resourceVersion={version}", verify=str(self._certificate), stream=True,
            headers={"Authorization": f"Bearer {self._token}"}, timeout=(5, 60),
        )
        response.raise_for_status()
        for line in response.iter_lines():
            if line:
                yield json.loads(line)


class Kubectl:
    """The program that the CDK app's layer ships."""

    def __init__(self, program: Path, kubeconfig: Path):
        self._command = [str(program), "--kubeconfig", str(kubeconfig)]

    def __call__(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess:
        return subprocess.run([*self._command, *arguments], input=stdin, capture_output=True, text=True, check=False)
