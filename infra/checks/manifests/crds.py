"""The schemas of what is not Kubernetes' own: CustomResourceDefinitions from the modules of the controllers themselves."""

import copy
from functools import cache
import json
from pathlib import Path
import subprocess

import yaml

import versions

# Which module defines the kinds of a group, and in which folder of it. Of the Prometheus operator the Go module proxy has
# no newer version as a whole; PodMonitor has not changed since.
SOURCES = {
    "keda.sh": (versions.module("KEDA_VERSION"), "config/crd/bases"),
    # The provider's module has the NodePool of sigs.k8s.io/karpenter too, with its own rules added, as the chart installs it.
    "karpenter.sh": (versions.module("KARPENTER_VERSION"), "pkg/apis/crds"),
    "karpenter.k8s.aws": (versions.module("KARPENTER_VERSION"), "pkg/apis/crds"),
    "monitoring.coreos.com": (
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "example/prometheus-operator-crd",
    ),
}

# What EKS Auto Mode installs and does not publish, described here after the user guide.
_OWN = {"eks.amazonaws.com": Path(__file__).parent / "auto-mode"}

GROUPS = [*SOURCES, *_OWN]

_STRINGS = {"type": "object", "additionalProperties": {"type": "string"}}

# A CRD says of `metadata` only that it is an object; these are the fields that anybody writes.
_METADATA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "maxLength": 253, "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"},
        "namespace": {"type": "string"},
        "labels": _STRINGS,
        "annotations": _STRINGS,
    },
}


@cache
def module_folder(module: str) -> Path:
    """Where the Go toolchain keeps a module; fetched and compared with the checksum database if it is not there yet."""
    done = subprocess.run(["go", "mod", "download", "-json", module], capture_output=True, text=True, check=False)
    answer = json.loads(done.stdout or "{}")
    if done.returncode != 0 or "Error" in answer:
        raise SystemExit(f"go mod download {module}: {answer.get('Error') or done.stderr}")
    return Path(answer["Dir"])


def folder(group: str) -> Path:
    """Where the definitions of a group are."""
    if group in _OWN:
        return _OWN[group]
    module, part = SOURCES[group]
    return module_folder(module) / part


@cache
def schema(group: str, version: str, kind: str) -> dict | None:
    """The strict schema of a kind, or None where its group does not define it."""
    # Files are called <group>_<plural>.yaml.
    for file in sorted(folder(group).glob(f"{group}_{kind.lower()}*.yaml")):
        definition = yaml.load(file.read_text(), Loader=yaml.CSafeLoader)
        if definition["spec"]["names"]["kind"] != kind:
            continue
        for served in definition["spec"]["versions"]:
            if served["name"] == version and served["served"]:
                return _strict(served["schema"]["openAPIV3Schema"])
    return None


def _strict(original: dict) -> dict:
    """The same, but a field that it does not know is a fault; the API server would drop it without a word."""
    whole = copy.deepcopy(original)
    _close(whole)
    whole["properties"]["metadata"] = _METADATA
    return whole


def _close(part: dict) -> None:
    open_ended = part.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in part
    if "properties" in part and not open_ended:
        part["additionalProperties"] = False
    for child in part.get("properties", {}).values():
        _close(child)
    for keyword in ("items", "additionalProperties"):
        if isinstance(part.get(keyword), dict):
            _close(part[keyword])
