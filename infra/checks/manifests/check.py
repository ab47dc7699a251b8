#!/usr/bin/env python3
"""Checks the chart without a cluster: README.md describes what, and how to run it."""

import argparse
from pathlib import Path
import subprocess
import sys

import cel
import charts
import grafana
import network_policy
import scaling
import self_test
import tools
import validation
import value_table
import worker_variables


def main() -> int:
    options = arguments()
    rules, faults = cel.Rules(), []

    rendered = {case.name: charts.documents(charts.render(options.helm, case)) for case in charts.value_files()}
    everything = [document for documents in rendered.values() for document in documents]

    step("deliberate mistakes are found", faults, self_test.run(everything))
    for case in charts.value_files():
        charts.lint(options.helm, case)
        step(f"{case.name}: {len(rendered[case.name])} manifests", faults, checked(rendered[case.name], rules))
    for file in options.files:
        documents = charts.documents(file.read_text())
        step(f"{file}: {len(documents)} manifests", faults, checked(documents, rules))
        everything += documents
    print(f"      {rules.evaluated} CEL rules evaluated; not evaluated, since they are about changes: {len(rules.skipped)}")

    agent = tools.policy_evaluator(options.tools)
    step("deliberate mistakes in a network policy are found", faults, network_policy.self_test(agent, everything))
    step("network policies, as the agent of the VPC CNI reads them", faults, network_policy.faults(agent, everything))

    scaled = {name: next((d for d in documents if d["kind"] == "ScaledObject"), None) for name, documents in rendered.items()}
    evaluator = tools.formula_evaluator(options.tools)
    plain, scheduled = scaled["sdwebui-minimal-values.yaml"], scaled["comfyui-full-values.yaml"]
    step("the number of pods", faults, scaling.faults(evaluator, plain, scheduled))
    marked = next(d for d in rendered["sdwebui-mark-pod-values.yaml"] if d["kind"] == "Deployment")
    step("the worker's variables", faults, worker_variables.faults(marked))
    step("the dashboard of Grafana", faults, grafana.faults(charts.CHART))
    step("the table of values", faults, value_table.faults(charts.CHART))

    unittest = tools.helm_unittest(options.tools)
    step("unit tests", faults, unit_tests(unittest))

    print(f"{len(faults)} faults" if faults else "no faults")
    return 1 if faults else 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--helm", required=True, help="the program helm, 4.x")
    parser.add_argument("--tools", type=Path, default=charts.CHART.parent / "tools", help="where programs are built")
    parser.add_argument("files", nargs="*", type=Path, help="further manifests, rendered by others")
    return parser.parse_args()


def checked(documents: list[dict], rules: cel.Rules) -> list[str]:
    if not documents:
        return ["nothing is rendered"]
    return [
        f"{document.get('kind')} {document.get('metadata', {}).get('name')}: {fault}"
        for document in documents
        for fault in validation.faults(document, rules)
    ]


def unit_tests(program: str) -> list[str]:
    command = [program, "--strict", "--file", "unittests/*_test.yaml", str(charts.CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    summary = [line for line in done.stdout.splitlines() if line.startswith("Tests:")]
    if done.returncode == 0 and summary:
        print(f"      {summary[0]}")
        return []
    return [done.stdout + done.stderr]


def step(what: str, faults: list[str], found: list[str]) -> None:
    print(f"{'FAIL' if found else 'ok':4}  {what}", flush=True)
    for fault in found:
        print(f"      {fault}", flush=True)
    faults += found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except charts.ChartFault as fault:
        sys.exit(f"FAIL  {fault}")
