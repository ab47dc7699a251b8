"""What the tests share: the repository's scripts, run with stand-ins for the programs that they call."""

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).parents[1]
INFRA = HERE.parents[1]
IMAGES = INFRA / "images"

CONFIG = """\
# The deployment of the tests.
region: us-west-2
modelBucket: my-company-models
runtimes:
  - { name: sdruntime, type: sdwebui, model: v1-5-pruned-emaonly.safetensors }  # one of each type
  - { name: comfyui, type: comfyui, instances: { volumeGiB: 60 } }
"""


class ScriptTest(unittest.TestCase):
    """A test with a folder of its own, a configuration in it, and a log of what was called."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.config = self.folder / "config.yaml"
        self.config.write_text(CONFIG)
        self.log = self.folder / "calls"
        self.log.touch()

    def run_script(self, script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(HERE / "fake"), str(Path(sys.executable).parent), os.environ["PATH"]])
        environment = {**os.environ, "PATH": path, "FAKE_LOG": str(self.log), "PAUSE_SECONDS": "0", **environment}
        return subprocess.run(
            [script, *arguments], env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def operations(self) -> list[str]:
        """The calls of AWS as "service operation"."""
        calls = [call[1:] for call in self.calls() if call[0] == "aws"]
        plain = [call[2:] if call[0] == "--region" else call for call in calls]
        return [" ".join(call[:2]) for call in plain]
