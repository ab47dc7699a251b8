"""What is wrong with a manifest. Unknown fields are faults, and so is a kind whose schema nobody has."""

import jsonschema
import kubernetes_validate

import cel
import crds

# Of the clusters that `config.schema.json` lets one make, the older; the newer takes all that it takes.
KUBERNETES = "1.35"


def faults(document: dict, rules: cel.Rules) -> list[str]:
    """Each fault in a line, with its place in the manifest."""
    for field in ("apiVersion", "kind", "metadata"):
        if field not in document:
            return [f"{field} is missing"]
    group, _, version = document["apiVersion"].rpartition("/")
    if group not in crds.GROUPS:
        return _of_kubernetes(document)
    schema = crds.schema(group, version, document["kind"])
    if schema is None:
        return [_no_schema(document)]
    found = sorted(jsonschema.Draft202012Validator(schema).iter_errors(document), key=lambda error: error.json_path)
    if found:
        return [f"{error.json_path}: {error.message}" for error in found]
    return rules.faults(schema, document)


def _of_kubernetes(document: dict) -> list[str]:
    try:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    except kubernetes_validate.SchemaNotFoundError:
        return [_no_schema(document)]
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(str(part) for part in error.path)}: {error.message}"]
    return []


def _no_schema(document: dict) -> str:
    return f"no schema for {document['kind']} of {document['apiVersion']}"
