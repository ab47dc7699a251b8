"""Whether the README's table of values, the schema and the defaults are about the same values."""

import json
from pathlib import Path
import re

import yaml


def faults(chart: Path) -> list[str]:
    schema = json.loads((chart / "values.schema.json").read_text())
    defaults = yaml.safe_load((chart / "values.yaml").read_text())
    known = set(_leaves(schema, schema["definitions"])) - {"global"}
    required = set(_required(schema))
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (.+?) \|", (chart / "README.md").read_text(), flags=re.MULTILINE))
    found = [f"README.md lacks {name}" for name in sorted(known - set(rows))]
    found += [f"README.md has {name}, which the schema does not" for name in sorted(set(rows) - known)]
    for name in sorted(known & set(rows)):
        default = _at(defaults, name)
        wanted = "**required**" if name in required else f"`{_written(default)}`"
        if name in required and default is not _ABSENT:
            found.append(f"values.yaml has a default for {name}, which is required")
        elif name not in required and default is _ABSENT:
            found.append(f"values.yaml lacks {name}")
        # Long ones are described instead of repeated.
        elif rows[name] != wanted and not (rows[name] == "see values.yaml" and len(wanted) > 40):
            found.append(f"README.md says {rows[name]} for {name}, which is {wanted}")
    return found


_ABSENT = object()

# Of these a person sets the whole, not its parts.
_WHOLES = {"resources"}


def _leaves(schema: dict, definitions: dict, place: str = "") -> list[str]:
    found = []
    for name, part in schema["properties"].items():
        here = f"{place}{name}"
        found += _leaves(part, definitions, f"{here}.") if "properties" in part and name not in _WHOLES else [here]
    return found


def _required(schema: dict, place: str = "") -> list[str]:
    found = []
    for name, part in schema.get("properties", {}).items():
        here = f"{place}{name}"
        if "properties" in part:
            found += _required(part, f"{here}.")
        elif name in schema.get("required", []):
            found.append(here)
    return found


def _at(values: dict, name: str) -> object:
    for part in name.split("."):
        if part not in values:
            return _ABSENT
        values = values[part]
    return values


def _written(default: object) -> str:
    return '""' if default == "" else default if isinstance(default, str) else json.dumps(default)
