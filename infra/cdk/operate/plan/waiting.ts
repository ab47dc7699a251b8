// How long tasks wait for a run, with a number of pods that does not change.
//
// While all pods are busy, the queue is M/D/c: Erlang's C formula for how often, and the approximation of Cosmetatos for how long
// (exponential, with about half of the mean of M/M/c). While some are idle, SQS still gives a task to any worker that polls, and a busy
// one polls shortly before its run ends: the task then waits for the rest of that run.

import { type Demand, RECEIVE_AHEAD } from "./workload.ts";

/** The share of tasks that wait longer than `seconds`. */
export type Waits = (seconds: number) => number;

/** Erlang C: the probability that all of `servers` are busy when a task comes, at a load below their number. */
export function erlangC(servers: number, load: number): number {
  let blocked = 1;
  for (let n = 1; n <= servers; n++) blocked = (load * blocked) / (n + load * blocked);
  return blocked / (1 - (load / servers) * (1 - blocked));
}

export function waitsWith(pods: number, demand: Demand): Waits {
  const { load, service } = demand;
  const servers = pods * demand.slots;
  if (load >= servers) return () => 1;
  const full = erlangC(servers, load);
  const mean = (service / (servers - load)) * sameLength(servers, load / servers);
  const { share, rest } = behindRuns(servers, demand);
  return (seconds) => full * Math.exp(-seconds / mean) + (1 - full) * share * rest(seconds);
}

/** How long the waits of runs of one length are, as a share of those of exponential ones (Cosmetatos 1975, for M/D/c). */
function sameLength(servers: number, share: number): number {
  const more = ((1 - share) * (servers - 1) * (Math.sqrt(4 + 5 * servers) - 2)) / (16 * share * servers);
  return Math.min((1 + more) / 2, 1);
}

/**
 * Tasks that a busy worker receives although others are idle: which share, and how much longer the run lasts. The
 * worker polls from `window` before the end on, and stops when it has a task; workers that poll receive at equal rates. Both depend on
 * each other: a fixed point.
 */
function behindRuns(servers: number, { rate, service, load }: Demand) {
  const window = Math.min(RECEIVE_AHEAD.seconds + RECEIVE_AHEAD.share * service, service);
  const idle = servers - load;
  let [polling, each] = [load * (window / service), 0];
  for (let round = 0; round < 50; round++) {
    each = rate / (polling + idle);
    polling = ((load / service) * -Math.expm1(-each * window)) / each;
  }
  return {
    share: polling / (polling + idle),
    rest: (seconds: number) =>
      seconds >= window ? 0 : Math.expm1(-each * (window - seconds)) / Math.expm1(-each * window),
  };
}

/** The wait that a share of the tasks does not exceed, in seconds; infinite if there is none. */
export function quantileOf(waits: Waits, share: number): number {
  const above = 1 - share;
  if (waits(0) <= above) return 0;
  if (waits(LONGEST) > above) return Number.POSITIVE_INFINITY;
  let [low, high] = [0, LONGEST];
  while (high - low > 1e-3) {
    const middle = (low + high) / 2;
    if (waits(middle) > above) low = middle;
    else high = middle;
  }
  return high;
}

/** SQS drops a task after four days (docs/operations.md). */
const LONGEST = 4 * 86_400;

/** The mean: the integral of the shares. */
export function meanOf(waits: Waits): number {
  const end = quantileOf(waits, 1 - 1e-6);
  if (!Number.isFinite(end)) return end;
  const steps = 2000;
  let sum = (waits(0) + waits(end)) / 2;
  for (let n = 1; n < steps; n++) sum += waits((end * n) / steps);
  return (sum * end) / steps;
}
