// A cold start as Kubernetes, Karpenter and CloudFormation would tell of it. Hand-made in the shape of their
// objects: nothing here was recorded on an account.

import type { StackEvent } from "@aws-sdk/client-cloudformation";

import type { Node, NodeClaim, Pod, PodEvent } from "../../../operate/measure/kubernetes-objects.ts";
import type { Observation } from "../../../operate/measure/stages.ts";

const DAY = "2026-11-22T10:";
export const at = (time: string) => Date.parse(`${DAY}${time}Z`);
const text = (time: string) => `${DAY}${time}Z`;

export function coldStart(): Observation {
  const pod: Pod = {
    metadata: {
      name: "sdruntime-7d4b9c-x2x9k",
      creationTimestamp: text("00:14"),
      labels: { "app.kubernetes.io/instance": "sdruntime" },
    },
    spec: { nodeName: "ip-10-0-1-2" },
    status: {
      conditions: [
        { type: "PodScheduled", status: "True", lastTransitionTime: text("01:10") },
        { type: "Initialized", status: "True", lastTransitionTime: text("03:20") },
        { type: "Ready", status: "True", lastTransitionTime: text("03:25") },
      ],
      initContainerStatuses: [{ name: "runtime", state: { running: { startedAt: text("02:32") } } }],
      containerStatuses: [{ name: "worker", state: { running: { startedAt: text("03:20") } } }],
    },
  };
  const node: Node = {
    metadata: { name: "ip-10-0-1-2", creationTimestamp: text("00:50") },
    status: { conditions: [{ type: "Ready", status: "True", lastTransitionTime: text("01:02") }] },
  };
  const nodeClaim: NodeClaim = {
    metadata: { name: "darkroom-sdruntime-abcde", creationTimestamp: text("00:16") },
    status: {
      nodeName: "ip-10-0-1-2",
      conditions: [
        { type: "Launched", status: "True", lastTransitionTime: text("00:20") },
        { type: "Registered", status: "True", lastTransitionTime: text("00:52") },
        { type: "Initialized", status: "True", lastTransitionTime: text("01:08") },
      ],
    },
  };
  const involved = (container: string) => ({ name: pod.metadata.name, fieldPath: `spec.${container}` });
  const events: PodEvent[] = [
    { reason: "FailedScheduling", involvedObject: { name: pod.metadata.name }, lastTimestamp: text("00:15") },
    { reason: "Pulling", involvedObject: involved("initContainers{runtime}"), lastTimestamp: text("01:12") },
    { reason: "Pulled", involvedObject: involved("initContainers{runtime}"), lastTimestamp: text("02:30") },
    { reason: "Pulled", involvedObject: involved("containers{worker}"), lastTimestamp: text("03:19") },
  ];
  return { submitted: at("00:00"), pod, node, nodeClaim, events, stored: at("03:30") };
}

/** A stack that was made once, with what CloudFormation says of it, newest first. */
export function stackEvents(): StackEvent[] {
  const StackId = "arn:aws:cloudformation:us-west-2:111122223333:stack/darkroom-cluster/1";
  const event = (time: string, LogicalResourceId: string, ResourceType: string, ResourceStatus: string) => ({
    StackId,
    EventId: `${LogicalResourceId}-${time}`,
    StackName: "darkroom-cluster",
    Timestamp: new Date(at(time)),
    LogicalResourceId,
    ResourceType,
    ResourceStatus: ResourceStatus as StackEvent["ResourceStatus"],
    PhysicalResourceId: LogicalResourceId === "darkroom-cluster" ? StackId : LogicalResourceId,
  });
  const stack = "AWS::CloudFormation::Stack";
  return [
    event("40:00", "darkroom-cluster", stack, "UPDATE_COMPLETE"),
    event("30:00", "darkroom-cluster", stack, "UPDATE_IN_PROGRESS"),
    event("15:30", "darkroom-cluster", stack, "CREATE_COMPLETE"),
    event("15:20", "Nodes", "AWS::EKS::Nodegroup", "CREATE_COMPLETE"),
    event("12:00", "Nodes", "AWS::EKS::Nodegroup", "CREATE_IN_PROGRESS"),
    event("11:50", "Cluster", "AWS::EKS::Cluster", "CREATE_COMPLETE"),
    event("02:01", "Cluster", "AWS::EKS::Cluster", "CREATE_IN_PROGRESS"),
    event("02:00", "Cluster", "AWS::EKS::Cluster", "CREATE_IN_PROGRESS"),
    event("00:10", "darkroom-cluster", stack, "CREATE_IN_PROGRESS"),
    event("00:00", "darkroom-cluster", stack, "REVIEW_IN_PROGRESS"),
  ];
}
