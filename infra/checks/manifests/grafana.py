"""Whether the dashboard of Grafana names metrics that the worker has, and every panel asks for one."""

import json
from pathlib import Path
import re

WORKER = Path(__file__).parents[3] / "worker" / "README.md"

# A histogram's series.
_SUFFIX = re.compile(r"_(bucket|sum|count)$")


def faults(chart: Path) -> list[str]:
    known = set(re.findall(r"^\| `(darkroom_worker_\w+)` <!--metric-->", WORKER.read_text(), flags=re.MULTILINE))
    found = []
    for file in sorted((chart / "dashboards").glob("*.json")):
        panels = [panel for panel in json.loads(file.read_text())["panels"] if panel["type"] != "row"]
        for panel in panels:
            text = " ".join(target["expr"] for target in panel["targets"])
            names = set(re.findall(r"darkroom_worker_\w+|DCGM_\w+", text))
            found += [] if names else [f"{file.name}: {panel['title']} asks for no metric"]
            unknown = {name for name in names if name.startswith("darkroom") and not {name, _SUFFIX.sub("", name)} & known}
            found += [f"{file.name}: {panel['title']}: the worker has no {name}" for name in sorted(unknown)]
        found += [] if panels else [f"{file.name} has no panels"]
    return found
