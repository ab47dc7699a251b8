"""The versions of KEDA and Karpenter that the cluster stack installs: the only place that the checks take them from."""

from pathlib import Path
import re

SOURCE = Path(__file__).resolve().parents[2] / "cdk" / "lib" / "cluster" / "third-party-charts.ts"
MODULES = {"KEDA_VERSION": "github.com/kedacore/keda/v2", "KARPENTER_VERSION": "github.com/aws/karpenter-provider-aws"}


def module(constant: str) -> str:
    """`<module>@v<version>`, as Go names the source of the version in a constant of the stack."""
    found = re.search(rf'^export const {constant} = "([0-9.]+)";$', SOURCE.read_text(), re.MULTILINE)
    if not found:
        raise SystemExit(f"{SOURCE} has no {constant}")
    return f"{MODULES[constant]}@v{found[1]}"


def differing(components: Path) -> list[str]:
    """Faults: components (folders with a go.mod each) that are built from another version than the stack installs."""
    faults = []
    for constant, folder in [("KEDA_VERSION", "keda"), ("KARPENTER_VERSION", "karpenter")]:
        file = components / folder / "go.mod"
        name, version = module(constant).split("@")
        if not re.search(rf"^\s*{re.escape(name)} {re.escape(version)}( |$)", file.read_text(), re.MULTILINE):
            faults.append(f"{file} does not require {name} {version}, which {SOURCE.name} installs")
    return faults
