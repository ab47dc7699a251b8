// What is planned for: how many tasks of one runtime, how long each takes, and how long a pod takes to start.

import type { Runtime } from "../../lib/config/types.ts";

export interface Workload {
  /** Tasks per hour. They come independently of each other (a Poisson process). */
  perHour: number;
  /** How long the GPU works on a task, in seconds; each task as long. */
  runSeconds: number;
  /** From the creation of a pod without a node to the first task that it receives, in seconds. */
  coldStartSeconds: number;
  imagesPerTask: number;
  /** Tasks that come at once. */
  burst: number;
  /** Sizes in kB, for the bill. */
  requestKb: number;
  imageKb: number;
}

/**
 * Unless options say otherwise. The time of the cold start is that of a published predecessor, with images of some 10 GB in a
 * cache (stable-diffusion-on-eks v1.4.0 states 3 minutes); `infra/operate measure` measures one's own.
 */
export const USUAL: Omit<Workload, "perHour"> = {
  runSeconds: 1.5,
  coldStartSeconds: 180,
  imagesPerTask: 1,
  burst: 0,
  requestKb: 16,
  imageKb: 150,
};

/** Between two runs with a backlog: gap and hand-over, in seconds (tests/figures, runs of 0.5 to 8 s). */
export const GAP_SECONDS = 0.002;

/** From the end of a run until its message is deleted, in seconds: six calls to AWS of 50 ms. The task is in flight for so long. */
export const STORING_SECONDS = 0.3;

/**
 * When a busy worker receives its next task: so many seconds, and so large a share of the run, before the run ends
 * (worker/src/pipeline).
 */
export const RECEIVE_AHEAD = { seconds: 2, share: 0.1 };

/** Tasks that one worker may hold per job of its runtime: staged, running, being stored. */
export const HELD = 3;

export interface Demand {
  /** Tasks per second. */
  rate: number;
  /** How long a task occupies a job slot of a runtime, in seconds. */
  service: number;
  /** Slots that are busy on average: seconds of runs per second. */
  load: number;
  /** Slots of a pod (`concurrency`). */
  slots: number;
}

export function demandOf(
  { perHour, runSeconds }: Workload,
  { concurrency }: Pick<Runtime, "concurrency">,
): Demand {
  const [rate, service] = [perHour / 3600, runSeconds + GAP_SECONDS];
  return { rate, service, load: rate * service, slots: concurrency };
}

/** Pods that are busy all the time. One more is the least that keeps up. */
export const busyPods = ({ load, slots }: Demand): number => load / slots;

/** The least number of pods with which the queue does not grow without bound. */
export const leastPods = (demand: Demand): number => Math.floor(busyPods(demand)) + 1;
