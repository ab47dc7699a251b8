import { describe, expect, it } from "vitest";

import { filterPolicy } from "../lib/runtime-queue.ts";
import { example, only, templateOf } from "./support/service.ts";

const template = templateOf("full");
const [queueId, queue] = only(template, "AWS::SQS::Queue", { QueueName: "studio-sdruntime" });
const [deadLettersId, deadLetters] = only(template, "AWS::SQS::Queue", { QueueName: "studio-sdruntime-dlq" });
const [undeliveredId] = only(template, "AWS::SQS::Queue", { QueueName: "studio-undelivered" });
const [, subscription] = only(template, "AWS::SNS::Subscription", {
  Endpoint: { "Fn::GetAtt": [queueId, "Arn"] },
});

describe("the queue", () => {
  it("hides a task for the configured time, and keeps it for four days", () => {
    expect(queue).toMatchObject({ VisibilityTimeout: 120, MessageRetentionPeriod: 4 * 86400 });
    const slow = templateOf("full", ({ runtimes }) => (runtimes[0]!.deadlines.visibility = 300));
    expect(only(slow, "AWS::SQS::Queue", { QueueName: "studio-sdruntime" })[1].VisibilityTimeout).toBe(300);
  });

  it("gives a task up well after its worker would", () => {
    const target = { "Fn::GetAtt": [deadLettersId, "Arn"] };
    expect(queue.RedrivePolicy).toEqual({ deadLetterTargetArn: target, maxReceiveCount: 20 });
    const mostAttempts = 10;
    expect(queue.RedrivePolicy.maxReceiveCount).toBeGreaterThanOrEqual(2 * mostAttempts);
  });
});

describe("its dead-letter queue", () => {
  it("keeps a message longer than the queue, since its age counts from when it was sent", () => {
    expect(deadLetters.MessageRetentionPeriod).toBe(14 * 86400);
    expect(deadLetters.MessageRetentionPeriod).toBeGreaterThan(queue.MessageRetentionPeriod);
  });

  it("hides a message six times as long as the dead-letter function may take", () => {
    const [, handler] = only(template, "AWS::Lambda::Function", { FunctionName: "studio-dead-letter" });
    expect(deadLetters.VisibilityTimeout).toBeGreaterThanOrEqual(6 * handler.Timeout);
  });

  it("is that queue's only", () => {
    expect(deadLetters.RedriveAllowPolicy).toEqual({
      redrivePermission: "byQueue",
      sourceQueueArns: [
        {
          "Fn::Join": [
            "",
            ["arn:", { Ref: "AWS::Partition" }, ":sqs:us-west-2:111122223333:studio-sdruntime"],
          ],
        },
      ],
    });
  });
});

describe("the subscription", () => {
  it("takes what names the runtime, or, from a predecessor's front door, one of its models", () => {
    expect(subscription).toMatchObject({
      Protocol: "sqs",
      FilterPolicyScope: "MessageAttributes",
      FilterPolicy: {
        $or: [
          { runtime: ["sdruntime"] },
          { sd_model_checkpoint: ["sd_xl_base_1.0.safetensors", "dreamshaper_8.safetensors"] },
        ],
      },
    });
  });

  it("takes what names the runtime only, where workflows name the models", () => {
    expect(filterPolicy(example("full").runtimes[1]!)).toEqual({ runtime: ["comfyui"] });
  });

  it("delivers SNS's envelope, which predecessors' workers read", () => {
    expect(subscription.RawMessageDelivery).toBe(false);
  });

  it("puts what cannot be delivered aside", () => {
    const target = { "Fn::GetAtt": [undeliveredId, "Arn"] };
    expect(subscription.RedrivePolicy).toEqual({ deadLetterTargetArn: target });
  });

  it("comes after the queues' policies, or its first messages would be lost", () => {
    const resource = Object.values(template.findResources("AWS::SNS::Subscription")).find(
      ({ Properties }) => Properties === subscription,
    );
    const policyOf = (id: string) =>
      Object.entries(template.findResources("AWS::SQS::QueuePolicy")).find(
        ([, { Properties }]) => Properties.Queues[0].Ref === id,
      )?.[0];
    expect(resource?.["DependsOn"]).toEqual(
      expect.arrayContaining([policyOf(queueId), policyOf(undeliveredId)]),
    );
  });
});
