"""Deliberate mistakes. A check that lets one of them pass proves nothing about the chart."""

import copy
from dataclasses import dataclass
from typing import Callable

import cel
import validation


@dataclass
class Mistake:
    kind: str
    what: str
    make: Callable[[dict], object]
    complaint: str


MISTAKES = [
    Mistake(
        "ScaledObject", "a trigger's setting at the top of the spec",
        lambda it: it["spec"].update(scaleOnInFlight=False), "'scaleOnInFlight' was unexpected",
    ),
    Mistake(
        "ScaledObject", "a formula outside `advanced`",
        lambda it: it["spec"].update(scalingModifiers=it["spec"]["advanced"].pop("scalingModifiers")),
        "'scalingModifiers' was unexpected",
    ),
    Mistake(
        "TriggerAuthentication", "an owner that there is not",
        lambda it: it["spec"]["podIdentity"].update(identityOwner="operator"), "'operator' is not one of",
    ),
    Mistake(
        "NodePool", "a field of an older version",
        lambda it: it["spec"].update(ttlSecondsAfterEmpty=30), "'ttlSecondsAfterEmpty' was unexpected",
    ),
    Mistake(
        "NodePool", "a version that is no more",
        lambda it: it.update(apiVersion="karpenter.sh/v1beta1"), "no schema for NodePool",
    ),
    Mistake(
        "NodePool", "a word that the policy does not know",
        lambda it: it["spec"]["disruption"].update(consolidationPolicy="WhenIdle"), "'WhenIdle' is not one of",
    ),
    Mistake(
        "NodePool", "a label that is Karpenter's (CEL)",
        lambda it: it["spec"]["template"].update(metadata={"labels": {"karpenter.sh/nodepool": "other"}}), "is restricted",
    ),
    Mistake(
        "NodePool", "a requirement without values (CEL)",
        lambda it: it["spec"]["template"]["spec"]["requirements"][0].update(values=[]), "must have a value defined",
    ),
    Mistake(
        "EC2NodeClass", "a role and a profile (CEL)",
        lambda it: it["spec"].update(instanceProfile="nodes"), "must specify exactly one of ['role', 'instanceProfile']",
    ),
    Mistake(
        "EC2NodeClass", "a system that Karpenter does not know (CEL)",
        lambda it: it["spec"].update(amiSelectorTerms=[{"alias": "ubuntu@v1"}]), "family is not supported",
    ),
    Mistake(
        "EC2NodeClass", "a rate without a snapshot (CEL)",
        lambda it: it["spec"]["blockDeviceMappings"][1]["ebs"].update(volumeInitializationRate=200), "snapshotID must be set",
    ),
    Mistake(
        "EC2NodeClass", "a tag that is Karpenter's (CEL)",
        lambda it: it["spec"].update(tags={"karpenter.sh/nodepool": "other"}), "restricted tag",
    ),
    Mistake(
        "NodeClass", "a field of Karpenter's own class",
        lambda it: it["spec"].update(amiSelectorTerms=[]), "'amiSelectorTerms' was unexpected",
    ),
    Mistake(
        "PodMonitor", "the field of a ServiceMonitor",
        lambda it: it["spec"].update(endpoints=[]), "'endpoints' was unexpected",
    ),
    Mistake("PodMonitor", "a misspelt part of metadata", lambda it: it["metadata"].update(label={}), "'label' was unexpected"),
    Mistake(
        "Deployment", "a misspelt probe",
        lambda it: it["spec"]["template"]["spec"]["containers"][0].update(livenesProbe={}), "'livenesProbe' was unexpected",
    ),
    Mistake(
        "NetworkPolicy", "an exception beside its block",
        lambda it: it["spec"]["egress"][1]["to"][0].update({"except": ["10.0.0.0/8"]}), "'except' was unexpected",
    ),
    Mistake(
        "Deployment", "a version that is no more",
        lambda it: it.update(apiVersion="extensions/v1beta1"), "no schema for Deployment",
    ),
    Mistake(
        "ServiceAccount", "an unknown kind",
        lambda it: it.update(kind="ServiceAcount"), "no schema for ServiceAcount",
    ),
]


def run(documents: list[dict]) -> list[str]:
    """The mistakes that pass. `documents` must have a manifest of each kind that a mistake is made in, without any."""
    by_kind = {document["kind"]: document for document in documents}
    passed = []
    for mistake in MISTAKES:
        document = copy.deepcopy(by_kind[mistake.kind])
        mistake.make(document)
        found = validation.faults(document, cel.Rules())
        if not any(mistake.complaint in fault for fault in found):
            passed.append(f"{mistake.kind}, {mistake.what}: said {found or 'nothing'}")
    return passed
