"""The functions' zips: the program as `bootstrap`, and the same bytes whenever and wherever they are made."""

import os
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

from support import INFRA


def copied(root: Path) -> Path:
    """The script in a repository of its own."""
    folder = root / "infra"
    folder.mkdir()
    for name in ("build-functions", "zigbuild"):
        shutil.copy(INFRA / name, folder)
    return folder / "build-functions"


class Functions(unittest.TestCase):
    def make(self, root: Path) -> dict[str, bytes]:
        """The debug zips of two programs that stand for ours."""
        script = copied(root)
        programs = root / "target" / "debug"
        programs.mkdir(parents=True)
        for name in ("api-lambda", "dead-letter"):
            shutil.copy(shutil.which("true"), programs / name)
        environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
        subprocess.run([script, "--debug"], check=True, env=environment, capture_output=True)
        return {file.name: file.read_bytes() for file in (root / "target" / "functions-debug").iterdir()}

    def test_the_same_programs_make_the_same_zips(self):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            made = self.make(Path(one))
            self.assertEqual(set(made), {"api-lambda.zip", "dead-letter.zip"})
            os.utime(one, (0, 0))
            self.assertEqual(made, self.make(Path(other)))

    def test_each_holds_a_program_that_may_run(self):
        with tempfile.TemporaryDirectory() as folder:
            self.make(Path(folder))
            with zipfile.ZipFile(Path(folder, "target/functions-debug/api-lambda.zip")) as archive:
                [entry] = archive.infolist()
                self.assertEqual((entry.filename, oct(entry.external_attr >> 16)), ("bootstrap", "0o100755"))
                self.assertTrue(archive.read(entry).startswith(b"\x7fELF"))

    def test_programs_that_are_missing_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            script = copied(Path(folder))
            environment = {name: value for name, value in os.environ.items() if name != "CARGO_TARGET_DIR"}
            done = subprocess.run([script, "--debug"], capture_output=True, text=True, check=False, env=environment)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("cargo build", done.stderr)
