"""Whether the chart sets variables by the names that the worker reads."""

from pathlib import Path
import re

WORKER = Path(__file__).parents[3] / "worker" / "README.md"

# The SDK's, not the worker's.
OTHERS = {"AWS_REGION"}

# Who starts without them does not start (worker/README.md calls them required).
REQUIRED = {"SQS_QUEUE_URL", "SNS_TOPIC_ARN", "S3_BUCKET", "RUNTIME_TYPE"}


def faults(deployment: dict) -> list[str]:
    known = set(re.findall(r"^\| `(\w+)` <!--var-->", WORKER.read_text(), flags=re.MULTILINE))
    worker = deployment["spec"]["template"]["spec"]["containers"][0]
    names = [variable["name"] for variable in worker["env"]]
    found = [f"{name} is set twice" for name in sorted({name for name in names if names.count(name) > 1})]
    found += [f"{name} is not a variable of the worker" for name in sorted(set(names) - known - OTHERS)]
    return found + [f"{name} is not set" for name in sorted(REQUIRED - set(names))]
