"""The rules that a CRD states in CEL (`x-kubernetes-validations`), evaluated on a manifest."""

from functools import cache
import re

import celpy
from celpy import celtypes


class Rules:
    """Evaluates rules, and remembers which it could not."""

    def __init__(self) -> None:
        self.evaluated = 0
        self.skipped: set[str] = set()

    def faults(self, schema: dict, value: object, place: str = "") -> list[str]:
        """What the rules of a schema, and of its parts, have against a value."""
        found = [
            f"{place or '.'}: {rule.get('message') or rule['rule']}"
            for rule in schema.get("x-kubernetes-validations", [])
            if not self._holds(rule["rule"], value)
        ]
        if isinstance(value, dict):
            properties, others = schema.get("properties", {}), schema.get("additionalProperties")
            for name, child in value.items():
                part = properties.get(name, others)
                if isinstance(part, dict):
                    found += self.faults(part, child, f"{place}.{name}")
        elif isinstance(value, list) and isinstance(schema.get("items"), dict):
            for number, child in enumerate(value):
                found += self.faults(schema["items"], child, f"{place}[{number}]")
        return found

    def _holds(self, rule: str, value: object) -> bool:
        if "oldSelf" in rule:
            # About a change of an object; a manifest alone has no former state.
            self.skipped.add(rule)
            return True
        self.evaluated += 1
        return bool(_program(rule).evaluate({"self": celpy.json_to_cel(value)}))


@cache
def _program(rule: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(rule), functions={"find": _find, "split": _split})


# Kubernetes' own additions to CEL, as far as the rules here need them (kubernetes.io, "CEL in Kubernetes", string functions).


def _find(text: str, pattern: str) -> celtypes.StringType:
    match = re.search(str(pattern), str(text))
    return celtypes.StringType(match.group(0) if match else "")


def _split(text: str, separator: str) -> celtypes.ListType:
    return celtypes.ListType([celtypes.StringType(part) for part in str(text).split(str(separator))])
