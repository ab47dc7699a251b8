"""What runs: a case for each image, from `cases/`."""

import argparse
from dataclasses import dataclass, field
import os
from pathlib import Path

import yaml

HERE = Path(__file__).parent
INFRA = HERE.parents[1]
# Tests the check itself, so it is always first.
STAND_IN = "stand-in"


@dataclass
class Case:
    """`runtime` is the type; `values` are the chart's, beside those of each pod; `size` is what the image must have, in pixels. `build` has
    arguments of the Dockerfile, `checkpoint` is the name of one of zeros in the model bucket, `model` is what the runtime starts with,
    and `ignored` an option that podman is not given."""

    name: str
    runtime: str
    values: dict
    task: dict
    size: list[int]
    build: dict[str, str] = field(default_factory=dict)
    checkpoint: str = ""
    model: str = ""
    ignored: str = ""


def load(name: str) -> Case:
    return Case(name=name, **yaml.safe_load((HERE / "cases" / f"{name}.yaml").read_text()))


def arguments(description: str) -> argparse.Namespace:
    """The command line, of the step that builds and of the step that runs."""
    known = sorted(path.stem for path in (HERE / "cases").glob("*.yaml") if path.stem != STAND_IN)
    programs = os.environ.get("DARKROOM_PROGRAMS") or INFRA.parent / "target" / "debug"
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--helm", type=Path, help="the program helm")
    parser.add_argument("--programs", type=Path, default=programs, help="where the programs of this workspace are")
    parser.add_argument("--build-worker", action="store_true", help="build the worker's Dockerfile, too, instead of taking the debug program")
    parser.add_argument("images", nargs="*", metavar="IMAGE", help=f"only these of {', '.join([STAND_IN, *known])}")
    options = parser.parse_args()
    unknown = set(options.images) - {STAND_IN, *known}
    if unknown:
        parser.error(f"there is no image {', '.join(unknown)}")
    options.complete = not options.images
    options.images = [STAND_IN, *(name for name in options.images or known if name != STAND_IN)]
    return options
