"""A release of the chart, installed with the Helm of the CDK app's layer."""

import copy
from pathlib import Path
import subprocess
import tempfile

import yaml

from darkroom import ACCOUNT, REGION, RUNTIME
from processes import Fault

CHART = Path(__file__).parents[2] / "chart"
NAMESPACE = "darkroom"

# The images are names; kubelet/ starts the debug programs for them. One node, without Karpenter.
VALUES = {
    "runtime": {"image": "example.com/sdwebui:1", "model": "v1-5-pruned-emaonly.safetensors", "env": {"LATENCY_MS": "3000"}},
    "worker": {
        "image": "example.com/worker:1",
        "queueUrl": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/darkroom-{RUNTIME}",
        "completionTopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:darkroom-completions",
        "resultsBucket": "darkroom-output",
    },
    "aws": {"region": REGION},
    # Without KEDA: scenarios say how many pods there are.
    "scaling": {"enabled": False},
    "deadlines": {"visibility": 30},
    "nodes": {"create": False},
}


def merged(values: dict, more: dict) -> dict:
    """Values as Helm merges them: maps by key, everything else replaced."""
    result = copy.deepcopy(values)
    for key, value in more.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


class Helm:
    def __init__(self, program: Path, kubeconfig: Path, folder: Path):
        self.program, self._kubeconfig = program, kubeconfig
        # Helm keeps caches there.
        self._env = {"HOME": str(folder / "helm")}

    def __call__(self, *arguments: str) -> str:
        return self._run(*arguments, "--kubeconfig", str(self._kubeconfig), "--namespace", NAMESPACE)

    def template(self, release: str, chart: Path, namespace: str, *arguments: str) -> str:
        return self._run("template", release, str(chart), "--namespace", namespace, *arguments)

    def install(self, values: dict, release: str = RUNTIME, chart: Path = CHART) -> None:
        """`helm upgrade --install`, as the stacks do, with the preset of SD WebUI and `VALUES` below `values`."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(merged(VALUES, values), file)
            file.flush()
            preset = chart / "presets" / "sdwebui.yaml"
            self("upgrade", "--install", release, str(chart), "--values", str(preset), "--values", file.name)

    def rollback(self, release: str = RUNTIME) -> None:
        self("rollback", release)

    def uninstall(self, release: str = RUNTIME) -> None:
        self("uninstall", release, "--ignore-not-found")

    def _run(self, *arguments: str) -> str:
        command = [str(self.program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._env)
        if done.returncode != 0:
            raise Fault(f"helm {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout
