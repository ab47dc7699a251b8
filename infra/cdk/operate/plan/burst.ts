// How long a burst takes, on top of the constant rate.

import type { Runtime } from "../../lib/config/types.ts";
import { RULES } from "./pods.ts";
import { busyPods, type Demand, type Workload } from "./workload.ts";

export interface Burst {
  /** Pods at the moment of the burst, and those that it calls. */
  before: number;
  pods: number;
  /** When these work, after the burst. */
  ready: number;
  /** When all of its tasks have run; infinite if the rate leaves no capacity. */
  cleared: number;
}

/** `before` pods work when `work.burst` tasks come at once. */
export function burstOf(before: number, demand: Demand, work: Workload, runtime: Runtime): Burst {
  const { replicas, scaling } = runtime;
  // On average half of each interval: KEDA's, from zero only, and the HPA's.
  const noticed = (before === 0 ? RULES.pollSeconds / 2 : 0) + RULES.syncSeconds / 2;
  const backlog = work.burst + demand.rate * noticed;
  const pods = Math.min(Math.max(Math.ceil(backlog / scaling.tasksPerReplica), before, 1), replicas.max);
  const called = pods > before;
  const ready = called ? noticed + work.coldStartSeconds : 0;
  const spare = (count: number) => ((count - busyPods(demand)) * demand.slots) / demand.service;
  const left = work.burst - spare(before) * ready;
  if (left <= 0) return { before, pods, ready, cleared: work.burst / spare(before) };
  if (spare(pods) <= 0) return { before, pods, ready, cleared: Number.POSITIVE_INFINITY };
  // Without other load the last round of runs is a whole one.
  const rounds = Math.ceil(left / (pods * demand.slots)) * demand.service;
  return { before, pods, ready, cleared: ready + Math.max(left / spare(pods), rounds) };
}
