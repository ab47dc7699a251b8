// What scale to zero costs in waiting time: a cycle of a cold start, a time with one pod or more, and a time without.

import type { Runtime } from "../../lib/config/types.ts";
import { RULES } from "./pods.ts";
import type { Waits } from "./waiting.ts";
import { type Demand, STORING_SECONDS, type Workload } from "./workload.ts";

export interface Cycle {
  /** The share of tasks that come while there is no pod, or while the first one starts. */
  coldShare: number;
  /** The share of the time in which there are pods, starting ones included. */
  upShare: number;
  /** The share of the time in which a node runs: Karpenter keeps an empty one for another five minutes. */
  nodeShare: number;
}

/** chart/values.yaml, `nodes.consolidateAfter`, in seconds. */
export const EMPTY_NODE_SECONDS = 300;

/** Always up. */
export const WARM: Cycle = { coldShare: 0, upShare: 1, nodeShare: 1 };

/**
 * KEDA removes the last pod when none of its looks, every 10 s, saw a task for `cooldownSeconds`. A short run falls between two
 * looks: of the tasks it sees only the share (run + storing) / 10 s, and pods go although tasks come.
 */
export const seenShare = ({ service }: Demand): number =>
  Math.min((service + STORING_SECONDS) / RULES.pollSeconds, 1);

export function cycleOf(pods: number, demand: Demand, work: Workload, { replicas, scaling }: Runtime): Cycle {
  if (replicas.min > 0) return WARM;
  const { rate, load, slots } = demand;
  const servers = pods * slots;
  if (rate === 0) return { coldShare: 1, upShare: 0, nodeShare: 0 };
  if (load >= servers) return WARM;
  const start = work.coldStartSeconds + RULES.pollSeconds / 2;
  const cold = 1 + rate * start;
  const drain = (cold * demand.service) / (servers - load);
  // The mean time until a Poisson process has its first gap of that length.
  const seen = rate * seenShare(demand);
  const warm = Math.expm1(seen * scaling.cooldownSeconds) / seen;
  const up = start + drain + warm;
  const without = 1 / rate;
  if (!Number.isFinite(up)) return WARM;
  const empty = (1 - Math.exp(-EMPTY_NODE_SECONDS * rate)) / rate;
  return {
    coldShare: Math.min(cold / (cold + rate * (drain + warm)), 1),
    upShare: up / (up + without),
    nodeShare: (up + empty) / (up + without),
  };
}

/**
 * The waits of all tasks: those of a cold start, and the others. The first one waits for KEDA's look and the cold start; the next
 * ones come during it, at any time, and wait for the rest of it and for those before them.
 */
export function waitsFromZero(warm: Waits, cycle: Cycle, demand: Demand, work: Workload): Waits {
  if (cycle.coldShare === 0) return warm;
  const { coldStartSeconds } = work;
  const start = coldStartSeconds + RULES.pollSeconds / 2;
  const meanwhile = demand.rate * start;
  const last = (1 + meanwhile) * demand.service;
  const [shortest, longest] = [Math.min(last, start), Math.max(last, start)];
  const first = uniform(coldStartSeconds, coldStartSeconds + RULES.pollSeconds);
  const next = uniform(shortest, longest);
  return (seconds) => {
    const cold = (first(seconds) + meanwhile * next(seconds)) / (1 + meanwhile);
    return cycle.coldShare * cold + (1 - cycle.coldShare) * warm(seconds);
  };
}

const uniform =
  (from: number, to: number): Waits =>
  (seconds) =>
    Math.min(Math.max((to - seconds) / Math.max(to - from, 1e-9), 0), 1);
