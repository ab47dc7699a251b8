"""KEDA and the HPA, as far as they decide how many pods there are: from a rendered ScaledObject, second by second."""

from dataclasses import dataclass, field
import json
from math import ceil
import subprocess

# kube-controller-manager's defaults: --horizontal-pod-autoscaler-sync-period and -tolerance.
SYNC_SECONDS = 15
TOLERANCE = 0.1


class Formula:
    """The formula of a ScaledObject, evaluated by the library that KEDA uses."""

    def __init__(self, program: str, text: str) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen([program, text], stdin=pipe, stdout=pipe, text=True, bufsize=1)

    def __call__(self, **triggers: float) -> float:
        self._process.stdin.write(json.dumps(triggers) + "\n")
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the formula cannot be evaluated")
        return float(line)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()


@dataclass
class Autoscaler:
    """Holds the number of replicas. `step` is called every second with the metric of that second."""

    spec: dict
    replicas: int = 0
    _active_at: int | None = None
    _recommended: list[tuple[int, int]] = field(default_factory=list)
    _changes: list[tuple[int, int]] = field(default_factory=list)

    def step(self, now: int, metric: float) -> None:
        # KEDA's default where none is rendered.
        if now % self.spec.get("pollingInterval", 30) == 0:
            self._activate(now, metric)
        if now % SYNC_SECONDS == 0 and self.replicas > 0:
            self._scale(now, metric)

    def _activate(self, now: int, metric: float) -> None:
        """KEDA's part: between none and one."""
        least = self.spec["minReplicaCount"]
        if metric > 0:
            self._active_at = now
            self.replicas = self.replicas or max(least, 1)
        elif least == 0 and (self._active_at is None or now - self._active_at > self.spec["cooldownPeriod"]):
            self.replicas = 0

    def _scale(self, now: int, metric: float) -> None:
        """The HPA's part: from one on."""
        target = float(self.spec["advanced"]["scalingModifiers"]["target"])
        near = abs(metric / (target * self.replicas) - 1) <= TOLERANCE
        wanted = self.replicas if near else ceil(metric / target)
        wanted = min(max(wanted, self.spec["minReplicaCount"], 1), self.spec["maxReplicaCount"])
        behavior = self.spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        down, up = behavior["scaleDown"], behavior["scaleUp"]

        window = down["stabilizationWindowSeconds"]
        self._recommended = [(at, n) for at, n in self._recommended if at > now - window] + [(now, wanted)]
        if wanted < self.replicas:
            wanted = min(max(n for _, n in self._recommended), self.replicas)
            wanted = max(wanted, self.replicas - self._allowed(now, down["policies"]))
        elif wanted > self.replicas:
            wanted = min(wanted, self.replicas + self._allowed(now, up["policies"]))
        if wanted != self.replicas:
            self._changes.append((now, wanted - self.replicas))
            self.replicas = wanted

    def _allowed(self, now: int, policies: list[dict]) -> int:
        """How many pods the most generous policy still lets go or come."""

        def by(policy: dict) -> int:
            recent = sum(abs(n) for at, n in self._changes if at > now - policy["periodSeconds"])
            share = policy["value"] if policy["type"] == "Pods" else ceil(self.replicas * policy["value"] / 100)
            return max(share - recent, 0)

        return max(by(policy) for policy in policies)
