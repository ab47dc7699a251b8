"""The commit that a check on demand has tested, for its LAST_PASS."""

from pathlib import Path
import subprocess
import sys


def commit(last_pass: Path) -> str:
    """Its short hash; with a plus if the tree has changes other than an earlier result in that file."""
    head = git(last_pass.parent, "rev-parse", "--short", "HEAD")
    changed = git(last_pass.parent, "status", "--porcelain", "--", ":/", f":(exclude){last_pass.name}")
    return head + ("+" if changed else "")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    print(commit(Path(sys.argv[1])))
