"""Runs workflows through the official TypeScript SDK of Comfy (@comfyorg/sdk) on the local stack, which is restarted in between.

Usage: check_comfy_ts.py PATH_OF_LOCAL_STACK

Needs `npm ci` in comfy-sdk/, whose check.mjs it runs.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from comfy_stack import KEY, Stack

SCRIPT = pathlib.Path(__file__).parent / "comfy-sdk/check.mjs"


def node(stack: Stack, *arguments: str) -> str:
    environment = {**os.environ, "COMFY_BASE_URL": stack.url, "COMFY_API_KEY": KEY, "NO_PROXY": "*"}
    return subprocess.check_output(["node", SCRIPT, *arguments], env=environment, text=True)


def main(program: str):
    with tempfile.TemporaryDirectory() as folder:
        with Stack(program, folder) as stack:
            job, asset = node(stack, "before").split()
        with Stack(program, folder, stack) as stack:
            node(stack, "after", job, asset)
    print("@comfyorg/sdk works with the local stack")


if __name__ == "__main__":
    main(os.path.abspath(sys.argv[1]))
