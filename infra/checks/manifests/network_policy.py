"""Whether the network policy agent of the VPC CNI can apply a policy: its own rule processor, and the address families."""

import copy
from ipaddress import ip_network
import json
import subprocess


def faults(evaluator: str, documents: list[dict]) -> list[str]:
    """What is wrong with the network policies among the manifests. `evaluator` is the program in `policy/`."""
    policies = [document for document in documents if document["kind"] == "NetworkPolicy"]
    return [fault for policy in policies for fault in _faults(evaluator, policy)]


def self_test(evaluator: str, documents: list[dict]) -> list[str]:
    """Mistakes that pass: an exception of the other family, as the chart once had it."""
    policy = copy.deepcopy(next(document for document in documents if document["kind"] == "NetworkPolicy"))
    policy["spec"]["egress"].append({"to": [{"ipBlock": {"cidr": "::/0", "except": ["::1/128", "fc00::/7"]}}]})
    found = _faults(evaluator, policy)
    expected = ("is of the other family", "longer than")
    return [f"nothing about a block that {text!r}: {found}" for text in expected if not any(text in fault for fault in found)]


def _faults(evaluator: str, policy: dict) -> list[str]:
    blocks = [
        peer["ipBlock"]
        for direction, peers in (("ingress", "from"), ("egress", "to"))
        for rule in policy["spec"].get(direction, [])
        for peer in rule.get(peers, [])
        if "ipBlock" in peer
    ]
    # A cluster has one family, and every policy here lets pods reach the internet of it.
    version = 4 if any(block["cidr"] == "0.0.0.0/0" for block in blocks) else 6
    name = policy["metadata"]["name"]
    networks = [network for block in blocks for network in (block["cidr"], *block.get("except", []))]
    found = [f"{name}: {network} is of the other family" for network in networks if ip_network(network).version != version]
    longest = {4: 32, 6: 128}[version]
    too_long = [prefix for prefix in _prefixes(evaluator, version, blocks) if prefix > longest]
    return found + [f"{name}: the agent makes a prefix of {prefix} bits, longer than {longest}" for prefix in too_long]


def _prefixes(evaluator: str, version: int, blocks: list[dict]) -> list[int]:
    command = [evaluator, f"ipv{version}"]
    done = subprocess.run(command, input=json.dumps(blocks), capture_output=True, text=True, check=True)
    return [int(line) for line in done.stdout.split()]
