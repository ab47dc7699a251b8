// A runtime, a load, and what the model and the simulation make of it.

import type { Runtime } from "../../../lib/config/types.ts";
import { USUAL, type Workload } from "../../../operate/plan/workload.ts";
import { configuration } from "../support/configuration.ts";
import { type Scaling, scalingOf } from "./chart.ts";

export const COLD = 180;

/** A runtime that scales from `min` to `max`, four tasks a pod, with a cooldown of ten minutes. */
export function runtime(max = 400, min = 0): Runtime {
  const [runtime] = configuration("", `    replicas: { min: ${min}, max: ${max} }`).runtimes;
  if (!runtime) throw new Error("the configuration has a runtime");
  return runtime;
}

export const load = (perHour: number, runSeconds: number, burst = 0): Workload => ({
  ...USUAL,
  perHour,
  runSeconds,
  burst,
  coldStartSeconds: COLD,
});

const rendered = new Map<string, Scaling>();

/** What the chart renders for such a runtime. */
export function scaling(max = 400, min = 0): Scaling {
  const name = `${min} to ${max}`;
  const known = rendered.get(name) ?? scalingOf(runtime(max, min));
  rendered.set(name, known);
  return known;
}

/** The same number of pods whatever comes. */
export const fixed = (pods: number): Scaling => ({ ...scaling(), min: pods, max: pods, formula: () => pods });
