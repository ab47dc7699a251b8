// How the chart scales a runtime: the ScaledObject that Helm renders, as the simulation reads it.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { parse } from "yaml";

import type { Runtime } from "../../../lib/config/types.ts";
import { INFRA } from "../../../operate/support/paths.ts";
import { render } from "../../cluster/helm.ts";

/** The settings of KEDA and the HPA. Times in seconds. */
export interface Scaling {
  min: number;
  max: number;
  pollingInterval: number;
  cooldown: number;
  stabilization: number;
  up: Policy[];
  down: Policy[];
  formula: (total: number, visible: number, pods: number) => number;
}

export interface Policy {
  type: "Pods" | "Percent";
  value: number;
  periodSeconds: number;
}

type Wishes = Pick<Runtime, "replicas"> & {
  scaling: Pick<Runtime["scaling"], "tasksPerReplica" | "cooldownSeconds">;
};

/** The ScaledObject of a release with these replicas and this scaling. */
export function scalingOf({ replicas, scaling }: Wishes): Scaling {
  const read = (file: string) => parse(readFileSync(join(INFRA, "chart", file), "utf8"));
  const values = {
    ...read("presets/sdwebui.yaml"),
    ...read("ci/sdwebui-minimal-values.yaml"),
    replicas,
    scaling,
  };
  values.runtime = {
    ...read("presets/sdwebui.yaml").runtime,
    ...read("ci/sdwebui-minimal-values.yaml").runtime,
  };
  const { manifests } = render("sdruntime", "darkroom", values);
  const spec = manifests.find(({ kind }) => kind === "ScaledObject")?.spec;
  const { scaleUp, scaleDown } = spec.advanced.horizontalPodAutoscalerConfig.behavior;
  return {
    min: spec.minReplicaCount,
    max: spec.maxReplicaCount,
    // KEDA's defaults, where the chart leaves them out.
    pollingInterval: spec.pollingInterval ?? 30,
    cooldown: spec.cooldownPeriod ?? 300,
    stabilization: scaleDown.stabilizationWindowSeconds,
    up: scaleUp.policies,
    down: scaleDown.policies,
    formula: evaluated(spec.advanced.scalingModifiers.formula),
  };
}

/** The formula as a function: what it uses of expr-lang (`min`, `max`, `-`, `/`) means the same in JavaScript. */
export function evaluated(formula: string): Scaling["formula"] {
  if (!/^[a-z0-9(),./ -]+$/.test(formula)) throw new Error(`not evaluated here: ${formula}`);
  return new Function(
    "total",
    "visible",
    "pods",
    `const { min, max } = Math; return ${formula};`,
  ) as Scaling["formula"];
}
