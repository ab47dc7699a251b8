"""The rules themselves: each bad Dockerfile is refused for what its first line says, and the images pass."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

from support import HERE, IMAGES, INFRA

HADOLINT = Path(sys.executable).parent / "hadolint"


def verdict(dockerfile: Path) -> tuple[bool, str]:
    """Whether a Dockerfile passes, and what is said of it."""
    own = subprocess.run([sys.executable, HERE / "rules.py", dockerfile], capture_output=True, text=True, check=False)
    lint = [HADOLINT, "--no-color", "--config", HERE / "hadolint.yaml", dockerfile]
    theirs = subprocess.run(lint, capture_output=True, text=True, check=False)
    return own.returncode == 0 == theirs.returncode, own.stdout + own.stderr + theirs.stdout + theirs.stderr


class Rules(unittest.TestCase):
    def test_what_is_bad_is_refused_for_that(self):
        bad = sorted(HERE.glob("bad/*.Dockerfile"))
        self.assertGreater(len(bad), 5)
        for dockerfile in bad:
            expected = dockerfile.read_text().splitlines()[0].removeprefix("# ").removeprefix("hadolint: ")
            with self.subTest(dockerfile.name):
                passed, said = verdict(dockerfile)
                self.assertFalse(passed)
                self.assertIn(expected, said)

    def test_the_images_pass(self):
        for dockerfile in sorted(IMAGES.glob("*/Dockerfile")):
            with self.subTest(dockerfile.parent.name):
                passed, said = verdict(dockerfile)
                self.assertTrue(passed, said)

    def test_constraints_pin_every_package(self):
        for name in ("sdwebui", "comfyui"):
            lines = (IMAGES / name / "constraints.txt").read_text().splitlines()
            packages = [line for line in lines if line and not line.startswith("#")]
            self.assertGreater(len(packages), 50)
            for package in packages:
                self.assertRegex(package, r"^[a-z0-9.-]+==[0-9][a-z0-9.+]*$")

    def test_the_worker_is_built_by_the_pinned_compiler(self):
        root = INFRA.parent
        [pinned] = re.findall(r'^channel = "(\d+\.\d+\.\d+)"$', (root / "rust-toolchain.toml").read_text(), re.MULTILINE)
        dockerfile = (IMAGES / "worker" / "Dockerfile").read_text()
        self.assertEqual(set(re.findall(r"rust:([\d.]+)|RUSTUP_TOOLCHAIN=([\d.]+)", dockerfile)), {(pinned, ""), ("", pinned)})
        [oldest] = re.findall(r'^rust-version = "([\d.]+)"$', (root / "Cargo.toml").read_text(), re.MULTILINE)
        self.assertTrue(f"{pinned}.".startswith(f"{oldest}."), f"{oldest} is not the version that is tested")

    def test_the_worker_is_built_from_every_member_of_the_workspace(self):
        [members] = re.findall(r"^members = \[(.*?)\]", (INFRA.parent / "Cargo.toml").read_text(), re.MULTILINE | re.DOTALL)
        context = (IMAGES / "worker" / "Dockerfile.dockerignore").read_text().splitlines()
        self.assertEqual([name for name in re.findall(r'"(.*?)"', members) if f"!{name}" not in context], [])

    def test_runtimes_run_as_10001_and_the_worker_as_distroless_does(self):
        for dockerfile in sorted(IMAGES.glob("*/Dockerfile")):
            user = "65532:65532" if dockerfile.parent.name == "worker" else "10001:10001"
            self.assertIn(f"USER {user}", dockerfile.read_text().splitlines(), dockerfile)
