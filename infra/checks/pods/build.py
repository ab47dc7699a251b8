#!/usr/bin/env python3
"""Builds the images that check.py starts, one after another."""

from pathlib import Path
import subprocess
import sys

import cases
import images

# The worker's own; the chart gives it another where it shares the runtime's scratch.
WORKER_USER, RUNTIME_USER = 65532, 10001


def main() -> int:
    options = cases.arguments(__doc__)
    try:
        if options.build_worker:
            images.build("worker", {})
        else:
            images.of_programs("worker", WORKER_USER, [options.programs / "worker"], ["/worker"])
        for name in options.images:
            print(f"building {name}", flush=True)
            if name == cases.STAND_IN:
                # tini, as in the runtimes' images: a process 1 without a handler ignores SIGTERM.
                programs = [Path("/usr/bin/tini"), options.programs / "simulated-runtime"]
                entrypoint = ["/tini", "--", "/simulated-runtime", "comfyui", "--listen", "0.0.0.0:8080", "--folder", "/scratch"]
                images.of_programs(name, RUNTIME_USER, programs, entrypoint)
            else:
                images.build(name, cases.load(name).build)
    except subprocess.CalledProcessError as fault:
        print(f"FAIL  {fault}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
