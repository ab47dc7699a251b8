// How many pods KEDA and the HPA hold at a constant rate: the fixed point of the chart's formula
// (infra/chart/templates/_scaling-formula.tpl) and of the HPA's rules.

import type { Runtime } from "../../lib/config/types.ts";
import { meanOf, waitsWith } from "./waiting.ts";
import { busyPods, type Demand, leastPods, STORING_SECONDS, type Workload } from "./workload.ts";

/** The chart's scaledobject.yaml and kube-controller-manager's defaults; a test compares them. Seconds, and a share. */
export const RULES = {
  pollSeconds: 10,
  syncSeconds: 15,
  stabilizationSeconds: 300,
  downSeconds: 60,
  downShare: 0.1,
  tolerance: 0.1,
};

/** A number of pods is called settled if it lasts for so long on average, in seconds. */
const SETTLED_SECONDS = 12 * 3600;

/**
 * The largest backlog after a start from zero, in tasks, as a flow: tasks come at the rate, pods are called for one in
 * `tasksPerReplica` of those that wait or run, and work after half of KEDA's and of the HPA's interval and the cold start.
 */
export function startBacklog(demand: Demand, work: Workload, { scaling }: Runtime): number {
  const { rate, service, slots } = demand;
  const delay = (RULES.pollSeconds + RULES.syncSeconds) / 2 + work.coldStartSeconds;
  const step = delay / 200;
  const called: number[] = [];
  let [tasks, most] = [0, 0];
  for (let n = 0; n < 200 * 50; n++) {
    const ready = n < 200 ? 0 : (called[n - 200] ?? 0);
    const done = Math.min((ready * slots * step) / service, tasks);
    const before = tasks;
    tasks += rate * step - done;
    most = Math.max(most, tasks);
    // Pods that are there stay, as long as this takes.
    called.push(most / scaling.tasksPerReplica);
    if (n > 200 && tasks < before && ready >= busyPods(demand)) break;
  }
  return most;
}

/** The most pods after a start from zero: those for the largest backlog. */
export const startPods = (demand: Demand, work: Workload, runtime: Runtime): number =>
  Math.ceil(startBacklog(demand, work, runtime) / runtime.scaling.tasksPerReplica);

/**
 * The number of pods that stays. Pods go when for 5 minutes no look of the HPA saw about as many tasks in flight as there are pods: 0.9
 * times as many suffice, for its tolerance of 10 %. The tasks in flight are Poisson distributed, as in a system without
 * queue (M/G/∞), with the time that a task is in flight. Pods come only when a backlog of `tasksPerReplica` per pod builds up, so the
 * number descends from that of the start, and never below what keeps up.
 */
export function settledPods(demand: Demand, work: Workload, runtime: Runtime): number {
  const least = leastPods(demand);
  let pods = Math.max(startPods(demand, work, runtime), least);
  while (pods > Math.max(least, 1)) {
    const enough = keeping(pods);
    const quiet = quietShare(pods, demand);
    if (RULES.downSeconds / quiet > SETTLED_SECONDS) break;
    pods = Math.max(pods - Math.ceil(pods * RULES.downShare), enough - 1, least);
  }
  return pods;
}

/** How many tasks in flight keep so many pods. */
export const keeping = (pods: number): number => Math.ceil(pods * (1 - RULES.tolerance) - 1e-9);

/** How long a task is in flight on average: it waits, runs and is stored. Waits in the queue, which are short then, count, too. */
export const inFlightSeconds = (pods: number, demand: Demand): number =>
  demand.service + meanOf(waitsWith(pods, demand)) + STORING_SECONDS;

/** How likely it is that no look in the window sees tasks in flight that keep the pods. */
function quietShare(pods: number, demand: Demand): number {
  const seconds = inFlightSeconds(pods, demand);
  if (!Number.isFinite(seconds)) return 0;
  // Looks see much the same if tasks last longer than the time between them.
  const looks = RULES.stabilizationSeconds / RULES.syncSeconds;
  const independent = 1 + (looks - 1) * Math.min(1, RULES.syncSeconds / demand.service);
  return (1 - poissonTail(keeping(pods), demand.rate * seconds)) ** independent;
}

/** The probability that a Poisson number of this mean is `least` or more. */
export function poissonTail(least: number, mean: number): number {
  if (mean === 0) return least > 0 ? 0 : 1;
  let [below, log] = [0, -mean];
  for (let n = 0; n < least; n++) {
    below += Math.exp(log);
    log += Math.log(mean / (n + 1));
  }
  return Math.max(1 - below, 0);
}

/** How busy so many pods are. */
export const utilisation = (demand: Demand, pods: number): number => Math.min(busyPods(demand) / pods, 1);
