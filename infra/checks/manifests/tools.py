"""The programs in Go that the checks need, built into a folder."""

import os
from pathlib import Path
import shutil
import subprocess
import tempfile

import crds

HELM_UNITTEST = "github.com/helm-unittest/helm-unittest@v1.1.2"


def formula_evaluator(folder: Path) -> str:
    """Built each time, which takes a second: its source is here and may have changed."""
    return _build(Path(__file__).parent / "formula", ".", folder / "keda-formula")


def policy_evaluator(folder: Path) -> str:
    """Built each time, which takes a second after the first time (40 s of CPU time)."""
    return _build(Path(__file__).parent / "policy", ".", folder / "policy-prefixes")


def helm_unittest(folder: Path) -> str:
    """Built once, from a copy of its source, since `go install` refuses a module with replace directives. One to two minutes."""
    program = folder / HELM_UNITTEST.rpartition("/")[2]
    if program.exists():
        return str(program)
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "helm-unittest"
        shutil.copytree(crds.module_folder(HELM_UNITTEST), source, copy_function=shutil.copy)
        # The module cache is read only, and its folders are, too.
        for directory, _, _ in os.walk(source):
            os.chmod(directory, 0o755)
        return _build(source, "./cmd/helm-unittest", program)


def _build(source: Path, package: str, program: Path) -> str:
    program.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(program.resolve()), package], cwd=source, check=True)
    return str(program)
