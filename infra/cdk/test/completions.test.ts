import { describe, expect, it } from "vitest";

import { all, only, templateOf } from "./support/service.ts";

const template = templateOf("full");
const [topic] = only(template, "AWS::SNS::Topic", { TopicName: "studio-completions" });
const [unnotified, unnotifiedQueue] = only(template, "AWS::SQS::Queue", { QueueName: "studio-unnotified" });
const subscriptions = Object.values(all(template, "AWS::SNS::Subscription")).filter(
  ({ TopicArn }) => TopicArn.Ref === topic,
);

describe("subscribers of finished tasks", () => {
  it("are those of the configuration", () => {
    expect(subscriptions.map(({ Protocol }) => Protocol).sort()).toEqual(["email", "https", "sqs", "sqs"]);
  });

  it("each have what they do not take put aside for 14 days", () => {
    for (const { RedrivePolicy } of subscriptions) {
      expect(RedrivePolicy).toEqual({ deadLetterTargetArn: { "Fn::GetAtt": [unnotified, "Arn"] } });
    }
    expect(unnotifiedQueue.MessageRetentionPeriod).toBe(14 * 86400);
  });

  it("get the notification itself in a queue", () => {
    for (const name of ["shop", "newsroom"]) {
      const [queue, { MessageRetentionPeriod }] = only(template, "AWS::SQS::Queue", {
        QueueName: `studio-results-${name}`,
      });
      const [, subscription] = only(template, "AWS::SNS::Subscription", {
        Endpoint: { "Fn::GetAtt": [queue, "Arn"] },
      });
      expect(subscription.RawMessageDelivery).toBe(true);
      expect(MessageRetentionPeriod).toBe(14 * 86400);
    }
  });

  it("get SNS's signed envelope over HTTPS, and are tried for most of an hour", () => {
    const webhook = subscriptions.find(({ Protocol }) => Protocol === "https");
    expect(webhook.Endpoint).toBe("https://hooks.example.com/darkroom");
    expect(webhook.RawMessageDelivery ?? false).toBe(false);
    const { numRetries, maxDelayTarget } = webhook.DeliveryPolicy.healthyRetryPolicy;
    const hour = 3600;
    expect(numRetries * maxDelayTarget).toBeLessThanOrEqual(hour);
    expect(numRetries * maxDelayTarget).toBeGreaterThan(hour / 2);
  });
});

it("takes no message that emails and webhooks would not get", () => {
  expect(only(template, "AWS::SNS::Topic", { TopicName: "studio-completions" })[1]).not.toHaveProperty(
    "MaximumMessageSize",
  );
});
