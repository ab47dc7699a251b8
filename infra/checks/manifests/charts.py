"""The chart, as Helm renders it: once for every file in its `ci` folder, with the preset that the file's name begins with."""

from pathlib import Path
import subprocess

import yaml

CHART = Path(__file__).parents[2] / "chart"
NAMESPACE = "darkroom"


def value_files(chart: Path = CHART) -> list[Path]:
    files = sorted((chart / "ci").glob("*-values.yaml"))
    if not files:
        raise SystemExit(f"{chart / 'ci'} has no value files")
    return files


def _values_of(case: Path) -> list[str]:
    preset = case.parents[1] / "presets" / f"{case.name.split('-')[0]}.yaml"
    return ["--values", str(preset), "--values", str(case)]


def render(helm: str, case: Path) -> str:
    """All manifests of one value file, as one text."""
    chart = str(case.parents[1])
    # The release is called as the runtime: the last part of the name of its queue.
    release = yaml.safe_load(case.read_text())["worker"]["queueUrl"].rsplit(f"{NAMESPACE}-", 1)[1]
    return _run(helm, "template", release, chart, "--namespace", NAMESPACE, *_values_of(case))


def lint(helm: str, case: Path) -> None:
    _run(helm, "lint", str(case.parents[1]), "--strict", "--quiet", *_values_of(case))


def documents(text: str) -> list[dict]:
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ChartFault(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


class ChartFault(Exception):
    """Helm refuses the chart, or the values."""
