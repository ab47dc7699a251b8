"""The snapshot in a configuration: its values change, and not a character beside them."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from support import IMAGES, INFRA

TSX = INFRA / "cdk" / "node_modules" / ".bin" / "tsx"
ID = "snap-0aaaaaaaaaaaaaaaa"

# Before, and after.
CASES = {
    "not mentioned": (
        "region: us-west-2 # here\n",
        f"region: us-west-2 # here\n\nimageCache:\n  mode: snapshot\n  snapshot: {ID}\n  initializationRate: 300\n",
    ),
    "another mode, in braces": (
        "imageCache: { mode: soci } # large ones\nregion: x\n",
        f"imageCache: {{ mode: snapshot, snapshot: {ID}, initializationRate: 300 }} # large ones\nregion: x\n",
    ),
    "another mode, in lines": (
        "imageCache:\n    # why\n    mode: none # for now\nregion: x\n",
        f"imageCache:\n    # why\n    mode: snapshot # for now\n    snapshot: {ID}\n    initializationRate: 300\nregion: x\n",
    ),
    "a former snapshot": (
        'imageCache:\n  mode: snapshot\n  snapshot: "snap-0bbbbbbbbbbbbbbbb" # of May\n  initializationRate: 300\n',
        f"imageCache:\n  mode: snapshot\n  snapshot: {ID} # of May\n  initializationRate: 300\n",
    ),
    "nothing in it": ("imageCache: {}\nregion: x\n", f"imageCache: {{ mode: snapshot, snapshot: {ID}, initializationRate: 300 }}\nregion: x\n"),
    "empty": ("imageCache:\nregion: x\n", f"imageCache: {{ mode: snapshot, snapshot: {ID}, initializationRate: 300 }}\nregion: x\n"),
    "the last line without an end": (
        "imageCache:\n  mode: soci",
        f"imageCache:\n  mode: snapshot\n  snapshot: {ID}\n  initializationRate: 300",
    ),
    "lists and long lines elsewhere": (
        f"api: {{ keys: [shop, newsroom] }} # {'a' * 120}\nimageCache: {{mode: soci}}\n",
        f"api: {{ keys: [shop, newsroom] }} # {'a' * 120}\nimageCache: {{mode: snapshot, snapshot: {ID}, initializationRate: 300}}\n",
    ),
}


class Record(unittest.TestCase):
    def test_cases(self):
        for name, (before, after) in CASES.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "config.yaml")
                file.write_text(before)
                subprocess.run([TSX, IMAGES / "cache" / "record.mts", file, ID], check=True)
                self.assertEqual(file.read_text(), after)
