// How long CloudFormation took, by its own events.

import type { StackEvent } from "@aws-sdk/client-cloudformation";

import { duration, markdown } from "../support/console.ts";

export interface Deployment {
  stack: string;
  begun: Date;
  completed: Date;
  /** What took longest, longest first. */
  slowest: { resource: string; seconds: number }[];
}

/** The making of a stack out of its events, in any order; nothing if it was not made in one go. */
export function creation(stack: string, events: StackEvent[]): Deployment | undefined {
  const inOrder = [...events].sort((a, b) => time(a) - time(b));
  const ofStack = inOrder.filter(({ PhysicalResourceId, StackId }) => PhysicalResourceId === StackId);
  const begun = ofStack.find(({ ResourceStatus }) => ResourceStatus === "CREATE_IN_PROGRESS");
  const completed = ofStack.find(({ ResourceStatus }) => ResourceStatus === "CREATE_COMPLETE");
  if (!begun?.Timestamp || !completed?.Timestamp) return undefined;
  return {
    stack,
    begun: begun.Timestamp,
    completed: completed.Timestamp,
    slowest: slowest(inOrder, ofStack),
  };
}

function slowest(inOrder: StackEvent[], ofStack: StackEvent[]): Deployment["slowest"] {
  const begun = new Map<string, number>();
  const took: Deployment["slowest"] = [];
  for (const event of inOrder) {
    const { LogicalResourceId = "", ResourceStatus, ResourceType } = event;
    if (ofStack.includes(event)) continue;
    if (ResourceStatus === "CREATE_IN_PROGRESS" && !begun.has(LogicalResourceId))
      begun.set(LogicalResourceId, time(event));
    const from = begun.get(LogicalResourceId);
    if (ResourceStatus !== "CREATE_COMPLETE" || from === undefined) continue;
    took.push({ resource: `${ResourceType} ${LogicalResourceId}`, seconds: (time(event) - from) / 1000 });
  }
  return took.sort((a, b) => b.seconds - a.seconds).slice(0, SLOWEST);
}

const SLOWEST = 5;
const time = ({ Timestamp }: StackEvent) => Timestamp?.getTime() ?? 0;

export function deploymentTable(deployments: Deployment[]): string {
  const seconds = (from: Date, to: Date) => (to.getTime() - from.getTime()) / 1000;
  const rows = deployments.flatMap(({ stack, begun, completed, slowest }) => [
    [stack, duration(seconds(begun, completed))],
    ...slowest.map(({ resource, seconds }) => [`  ${resource}`, duration(seconds)]),
  ]);
  const begun = new Date(Math.min(...deployments.map(({ begun }) => begun.getTime())));
  const completed = new Date(Math.max(...deployments.map(({ completed }) => completed.getTime())));
  rows.push([
    "**all, from the first stack's begin to the last one's end**",
    duration(seconds(begun, completed)),
  ]);
  return markdown(["deployment", "took"], rows, [1]);
}
