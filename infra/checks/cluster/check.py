#!/usr/bin/env python3
"""Tests the chart on a real Kubernetes control plane: README.md describes what, and how to run it."""

import argparse
from datetime import datetime, timezone
import importlib
import os
from pathlib import Path
import shutil
import sys
import tempfile
import time
import traceback

HERE = Path(__file__).parent
sys.path += [str(HERE.parent), str(HERE.parent / "manifests")]

from cluster import Cluster, Programs  # noqa: E402
from processes import Fault  # noqa: E402
import tested  # noqa: E402
import versions  # noqa: E402

# In this order, which goes from parts to the whole.
SCENARIOS = ["examples", "busy_pods", "rollout", "models", "backlog", "schedules", "gpu_nodes", "spot", "upgrade", "uninstall"]
LAST_PASS = HERE / "LAST_PASS"


def main() -> int:
    options = arguments()
    differing = versions.differing(HERE / "components")
    if differing:
        print("\n".join(differing))
        return 1
    folder = Path(tempfile.mkdtemp(prefix="darkroom-cluster-"))
    print(f"logs: {folder}", flush=True)
    cluster = Cluster(Programs(options.tools / "cluster" / "bin", options.programs, options.tools / "bin"), folder)
    begun, failed, report = time.monotonic(), [], []
    try:
        cluster.start()
        print(f"ok    the cluster has started ({time.monotonic() - begun:.0f} s)", flush=True)
        for name in options.scenarios or SCENARIOS:
            figures = run(name, cluster)
            report += figures or []
            if figures is None:
                failed.append(name)
        tasks = cluster.darkroom.balance()
    except Fault as fault:
        failed.append("the cluster")
        print(f"FAIL  {fault}", flush=True)
    finally:
        cluster.stop()
    if failed:
        print(f"failed: {', '.join(failed)}")
        return 1
    shutil.rmtree(folder)
    print(f"no faults; {tasks}")
    if not options.scenarios:
        summary = f"{datetime.now(timezone.utc):%Y-%m-%d}, commit {tested.commit(LAST_PASS)}: {len(SCENARIOS)} scenarios"
        minutes = (time.monotonic() - begun) / 60
        LAST_PASS.write_text("\n".join([f"{summary} in {minutes:.0f} min, {tasks}", *report]) + "\n")
    return 0


def arguments() -> argparse.Namespace:
    infra = HERE.parents[1]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tools", type=Path, default=infra / "tools", help="where tools and the cluster's programs are")
    programs = os.environ.get("DARKROOM_PROGRAMS") or infra.parent / "target" / "debug"
    parser.add_argument("--programs", type=Path, default=programs, help="where the programs of this workspace are")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"only these of {', '.join(SCENARIOS)}")
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {', '.join(unknown)}")
    return options


def run(name: str, cluster: Cluster) -> list[str] | None:
    """Runs a scenario and prints its figures, which it returns. If it fails, None; what it installed is removed."""
    scenario, begun = importlib.import_module(f"scenarios.{name}"), time.monotonic()
    try:
        figures = scenario.run(cluster)
        cluster.processes.must_run()
    except Exception as fault:  # noqa: BLE001 whatever it is, the other scenarios run
        print(f"FAIL  {name} ({time.monotonic() - begun:.0f} s): {fault}", flush=True)
        if not isinstance(fault, Fault):
            traceback.print_exc()
        cluster.uninstall()
        return None
    lines = [f"{name} ({time.monotonic() - begun:.0f} s): {' '.join(scenario.__doc__.split())}", *(f"  {line}" for line in figures)]
    print("\n      ".join(["ok    " + lines[0], *lines[1:]]), flush=True)
    return lines


if __name__ == "__main__":
    sys.exit(main())
