// Where the time between a task and its image goes, when there was no pod and no node before.

import { type Node, type NodeClaim, type Pod, type PodEvent, since, when } from "./kubernetes-objects.ts";

/** What was seen of one task, from nothing to its image. Times in milliseconds since 1970. */
export interface Observation {
  submitted: number;
  pod: Pod;
  node: Node;
  nodeClaim?: NodeClaim;
  events: PodEvent[];
  /** When S3 took the `.out` file. */
  stored: number;
}

export interface Stage {
  name: string;
  seconds: number;
}

/** The containers of the chart: the runtime starts first, and the worker once the runtime answers. */
const RUNTIME = "runtime";
const WORKER = "worker";

/** Each stage lasts from the end of the one before it. Together they are the whole time. */
export function stages(seen: Observation): Stage[] {
  const ends: [string, number | undefined][] = [
    ["task to pod: SNS, SQS, KEDA", when(seen.pod.metadata.creationTimestamp)],
    ["pod to instance: Karpenter, EC2", since(seen.nodeClaim?.status.conditions, "Launched")],
    ["instance to node: boot, join", since(seen.node.status.conditions, "Ready")],
    ["node to pod on it: drivers, volumes", since(seen.pod.status.conditions, "PodScheduled")],
    ["the runtime's image", pulled(seen)],
    ["the runtime's container", startedAt(seen.pod.status.initContainerStatuses, RUNTIME)],
    ["the runtime: start, model", startedAt(seen.pod.status.containerStatuses, WORKER)],
    ["the first image: receive, run, store", seen.stored],
  ];
  let before = seen.submitted;
  return ends.map(([name, end]) => {
    // What was there already takes no time, and neither does what whole seconds and two clocks put in the
    // wrong order.
    const at = Math.max(before, end ?? before);
    const seconds = (at - before) / 1000;
    before = at;
    return { name, seconds };
  });
}

/** Stages whose end was not to be seen: their time is in the next one. */
export function unseen({ pod, nodeClaim, events }: Observation): string[] {
  const gone: string[] = [];
  if (!nodeClaim) gone.push("no NodeClaim of the pod's node");
  if (pulled({ pod, events }) === undefined)
    gone.push("no event of the image's pull (events live for an hour)");
  if (startedAt(pod.status.initContainerStatuses, RUNTIME) === undefined)
    gone.push("the runtime's container does not run");
  if (startedAt(pod.status.containerStatuses, WORKER) === undefined)
    gone.push("the worker's container does not run");
  return gone;
}

function startedAt(
  statuses: { name: string; state?: { running?: { startedAt?: string } } }[] | undefined,
  name: string,
) {
  return when(statuses?.find((status) => status.name === name)?.state?.running?.startedAt);
}

function pulled({ pod, events }: Pick<Observation, "pod" | "events">): number | undefined {
  const event = events.find(
    ({ reason, involvedObject }) =>
      reason === "Pulled" &&
      involvedObject.name === pod.metadata.name &&
      new RegExp(`containers\\{${RUNTIME}\\}$`, "i").test(involvedObject.fieldPath ?? ""),
  );
  return when(event?.lastTimestamp ?? event?.eventTime);
}
