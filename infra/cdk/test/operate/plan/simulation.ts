// A runtime's queue, its workers and their scaling, event by event. Deterministic: the same seed, the same figures.

import { Autoscaler, SYNC_SECONDS } from "./autoscaler.ts";
import type { Scaling } from "./chart.ts";
import { Heap } from "./heap.ts";
import { random } from "./random.ts";

export interface Load {
  scaling: Scaling;
  perHour: number;
  runSeconds: number;
  coldStartSeconds: number;
  /** The coefficient of variation of runs: 0 for runs of one length, 1 for exponential ones. */
  variation?: number;
  /** Tasks that come at once, at `burstAt`. */
  burst?: number;
  burstAt?: number;
  /** How long to simulate, and from when on to measure, in hours. */
  hours: number;
  from?: number;
  seed?: number;
}

export interface Measured {
  /** Of the tasks that came while it was measured, from arrival to the start of the run, sorted. */
  waits: Float64Array;
  /** Mean number of pods, and the most; the share of the time with any pod. */
  pods: number;
  peak: number;
  up: number;
  /** Runs at once, by pods. */
  busy: number;
  /** After the burst: when its last task had run, when there was a first pod, and when there were the most. */
  cleared: number;
  first: number;
  most: number;
}

/** When a worker receives the next task: so long before the end of a run, beside a tenth of it (worker/src/pipeline). */
const RECEIVE_AHEAD = 2;
const ERROR = 0.1;
/** How long a task stays in flight after its run: stored, notified, deleted (docs/performance.md: 6 calls of 50 ms). */
const STORING = 0.3;

interface Task {
  at: number;
  burst: boolean;
}

interface Pod {
  ready: boolean;
  running?: Task | undefined;
  staged?: Task | undefined;
  polls: boolean;
  /** Where it stands among the pods that poll. */
  place: number;
  goes: boolean;
}

type Event =
  | { at: number; what: "arrival" | "burst" | "poll" | "sync" | "stored" | "measure" }
  | { at: number; what: "ready" | "ahead" | "end"; pod: Pod; task?: Task };

export function simulate(load: Load): Measured {
  const { scaling, runSeconds, coldStartSeconds, variation = 0, hours } = load;
  const { uniform, exponential, gamma } = random(load.seed ?? 1);
  const [end, from] = [hours * 3600, (load.from ?? 0) * 3600];
  const autoscaler = new Autoscaler(scaling);
  const events = new Heap<Event>();
  const queue: Task[] = [];
  let head = 0;
  const pods = new Set<Pod>();
  const polling: Pod[] = [];
  const waits: number[] = [];
  let [inFlight, running, burstLeft, cleared, now] = [0, 0, load.burst ?? 0, 0, 0];
  let [podSeconds, upSeconds, runningSeconds, peak, since] = [0, 0, 0, 0, from];

  const account = (at: number) => {
    const span = at - Math.max(since, from);
    if (span > 0) {
      podSeconds += span * pods.size;
      runningSeconds += span * running;
      if (pods.size > 0) upSeconds += span;
      peak = Math.max(peak, pods.size);
    }
    since = at;
  };
  const metric = () => scaling.formula(queue.length - head + inFlight, queue.length - head, pods.size);

  const stopPolling = (pod: Pod) => {
    if (!pod.polls) return;
    const last = polling.pop() as Pod;
    if (last !== pod) [polling[pod.place], last.place] = [last, pod.place];
    pod.polls = false;
  };
  const startPolling = (pod: Pod) => {
    if (pod.polls || pod.staged || pod.goes || !pod.ready) return;
    if (head < queue.length) return receive(pod, queue[head++] as Task);
    [pod.polls, pod.place] = [true, polling.length];
    polling.push(pod);
  };
  const receive = (pod: Pod, task: Task) => {
    stopPolling(pod);
    inFlight++;
    if (pod.running) pod.staged = task;
    else run(pod, task);
  };
  const run = (pod: Pod, task: Task) => {
    const took = variation === 0 ? runSeconds : runSeconds * gamma(variation);
    pod.running = task;
    running++;
    if (task.at >= from) waits.push(now - task.at);
    events.push({ at: now + took, what: "end", pod, task });
    // What it goes by is how long runs take as a rule, not how long this one will.
    events.push({
      at: now + Math.max(runSeconds * (1 - ERROR) - RECEIVE_AHEAD, 0),
      what: "ahead",
      pod,
      task,
    });
  };
  const arrive = (burst: boolean) => {
    const task = { at: now, burst };
    const pod = polling[Math.floor(uniform() * polling.length)];
    if (pod) receive(pod, task);
    else queue.push(task);
  };
  /** As many pods as the Deployment names: pods that do not work yet go first, then idle ones (`markPod`). */
  const follow = () => {
    const stay = [...pods].filter(({ goes }) => !goes);
    const cost = (pod: Pod) => (pod.ready ? (pod.running ? 2 : 1) : 0);
    for (const pod of stay
      .sort((a, b) => cost(a) - cost(b))
      .slice(0, Math.max(stay.length - autoscaler.replicas, 0))) {
      pod.goes = true;
      stopPolling(pod);
      if (pod.staged) {
        if (head > 0) queue[--head] = pod.staged;
        else queue.unshift(pod.staged);
        [pod.staged, inFlight] = [undefined, inFlight - 1];
      }
      if (!pod.running) pods.delete(pod);
    }
    for (let n = stay.length; n < autoscaler.replicas; n++) {
      const pod: Pod = { ready: false, polls: false, place: 0, goes: false };
      pods.add(pod);
      events.push({ at: now + coldStartSeconds, what: "ready", pod });
    }
  };

  for (let n = 0; n < scaling.min; n++) {
    const pod: Pod = { ready: true, polls: false, place: 0, goes: false };
    pods.add(pod);
    startPolling(pod);
  }
  if (load.perHour > 0) events.push({ at: exponential(3600 / load.perHour), what: "arrival" });
  if (load.burst)
    events.push({ at: (load.burstAt ?? 0) + uniform() * scaling.pollingInterval, what: "burst" });
  events.push({ at: 0, what: "poll" });
  events.push({ at: uniform() * SYNC_SECONDS, what: "sync" });

  let [burstCame, first, most, mostPods] = [Number.POSITIVE_INFINITY, 0, 0, 0];
  for (let event = events.pop(); event && event.at < end; event = events.pop()) {
    account(event.at);
    now = event.at;
    switch (event.what) {
      case "arrival":
        arrive(false);
        events.push({ at: now + exponential(3600 / load.perHour), what: "arrival" });
        break;
      case "burst":
        burstCame = now;
        for (let n = 0; n < (load.burst ?? 0); n++) arrive(true);
        break;
      case "poll":
        autoscaler.poll(now, metric());
        follow();
        events.push({ at: now + scaling.pollingInterval, what: "poll" });
        break;
      case "sync":
        autoscaler.sync(now, metric());
        follow();
        events.push({ at: now + SYNC_SECONDS, what: "sync" });
        break;
      case "ready":
        if (!pods.has(event.pod)) break;
        event.pod.ready = true;
        startPolling(event.pod);
        break;
      case "ahead":
        if (event.pod.running === event.task) startPolling(event.pod);
        break;
      case "end": {
        const { pod } = event;
        running--;
        if (event.task?.burst && --burstLeft === 0) cleared = now - burstCame;
        events.push({ at: now + STORING, what: "stored" });
        const next = pod.staged;
        [pod.running, pod.staged] = [undefined, undefined];
        if (pod.goes) pods.delete(pod);
        else if (next) run(pod, next);
        else startPolling(pod);
        break;
      }
      case "stored":
        inFlight--;
        break;
    }
    if (now >= burstCame && pods.size > mostPods) {
      first ||= now - burstCame;
      [most, mostPods] = [now - burstCame, pods.size];
    }
    if (head > 100_000) head -= queue.splice(0, head).length;
  }
  account(end);
  const span = end - from;
  return {
    waits: Float64Array.from(waits).sort(),
    pods: podSeconds / span,
    peak,
    up: upSeconds / span,
    busy: runningSeconds / Math.max(podSeconds, 1),
    cleared: burstLeft === 0 ? cleared : Number.POSITIVE_INFINITY,
    first,
    most,
  };
}

/** The wait that so large a share of the tasks does not exceed. */
export const quantile = (sorted: Float64Array, share: number): number =>
  sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? 0;
