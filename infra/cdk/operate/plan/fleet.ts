// The pods of a runtime at a rate, within what the configuration allows.

import type { Runtime } from "../../lib/config/types.ts";
import { type Cycle, cycleOf, waitsFromZero, WARM } from "./from-zero.ts";
import { settledPods, startBacklog, startPods } from "./pods.ts";
import { type Waits, waitsWith } from "./waiting.ts";
import { type Demand, demandOf, leastPods, type Workload } from "./workload.ts";

export interface Fleet {
  demand: Demand;
  /** The least that keeps up, and what the formula asks for if nothing limits it: after a start from zero, and in the long run. */
  least: number;
  start: number;
  settled: number;
  /** The tasks that wait or run at most after a start from zero. */
  backlog: number;
  /** What is there in the long run, within `replicas`. */
  pods: number;
  /** Whether `replicas.max` is enough. */
  keepsUp: boolean;
  cycle: Cycle;
}

export function fleetOf(runtime: Runtime, work: Workload): Fleet {
  const demand = demandOf(work, runtime);
  const { min, max } = runtime.replicas;
  const least = demand.rate === 0 ? 0 : leastPods(demand);
  const settled = demand.rate === 0 ? 0 : settledPods(demand, work, runtime);
  const [backlog, start] = [startBacklog(demand, work, runtime), startPods(demand, work, runtime)];
  const keepsUp = least <= max;
  const pods = Math.min(Math.max(settled, min), max);
  const cycle = keepsUp ? cycleOf(pods, demand, work, runtime) : WARM;
  return { demand, least, start, settled, backlog, pods, keepsUp, cycle };
}

/** The waits with so many pods, cold starts included. */
export const waitsOf = ({ cycle, demand }: Fleet, pods: number, work: Workload): Waits =>
  waitsFromZero(waitsWith(pods, demand), cycle, demand, work);
