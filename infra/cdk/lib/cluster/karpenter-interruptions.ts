import {
  aws_events as events,
  aws_events_targets as targets,
  Duration,
  type aws_sqs as sqs,
  Validations,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import { PrivateQueue } from "../private-queue.ts";

/**
 * Events that announce the end of a node (Karpenter, "Interruption"; the same five as its CloudFormation
 * template).
 */
const NOTICES: Record<string, events.EventPattern> = {
  SpotInterruption: { source: ["aws.ec2"], detailType: ["EC2 Spot Instance Interruption Warning"] },
  Rebalance: { source: ["aws.ec2"], detailType: ["EC2 Instance Rebalance Recommendation"] },
  StateChange: { source: ["aws.ec2"], detailType: ["EC2 Instance State-change Notification"] },
  CapacityReservation: {
    source: ["aws.ec2"],
    detailType: ["EC2 Capacity Reservation Instance Interruption Warning"],
  },
  Health: { source: ["aws.health"], detailType: ["AWS Health Event"] },
};

/** The name of the rule about Spot interruptions, which the dashboard counts by it. */
export const spotRuleName = (deployment: string) => `${deployment}-spot-interruptions`;

/** The queue through which Karpenter learns that a node goes: on Spot, two minutes before. */
export class Interruptions extends Construct {
  readonly queue: sqs.Queue;

  constructor(scope: Construct, id: string, deployment: string) {
    super(scope, id);
    const queue = new PrivateQueue(this, "Queue", {
      queueName: `${deployment}-interruptions`,
      // A notice that is older than this has come true.
      retentionPeriod: Duration.minutes(5),
    });
    queue.endsHere("A notice that Karpenter did not read within minutes is of no use later.");
    Validations.of(this).acknowledge({
      id: "Serverless-EventBusDLQ",
      reason: "A notice that did not reach the queue is of no use later, and Karpenter sees the node go.",
    });
    for (const [name, eventPattern] of Object.entries(NOTICES)) {
      new events.Rule(this, name, {
        ruleName: name === "SpotInterruption" ? spotRuleName(deployment) : undefined,
        eventPattern,
        description: `Karpenter of ${deployment}: ${eventPattern.detailType?.[0]}`,
        targets: [new targets.SqsQueue(queue)],
      });
    }
    this.queue = queue;
  }
}
