import { describe, expect, it } from "vitest";

import { only, templateOf } from "./support/service.ts";

const topic = (bytes: number) => {
  const template = templateOf("full", ({ api }) => (api.messageBytes = bytes));
  return only(template, "AWS::SNS::Topic", { TopicName: "studio-tasks" })[1];
};

describe("the topic for tasks", () => {
  it("takes messages above SNS's usual size where that is wanted", () => {
    expect(topic(1048576).MaximumMessageSize).toBe(1048576);
  });

  it("sets no size otherwise, since SNS in China does not support it", () => {
    expect(topic(262144)).not.toHaveProperty("MaximumMessageSize");
    expect(
      only(templateOf("china"), "AWS::SNS::Topic", { TopicName: "darkroom-tasks" })[1],
    ).not.toHaveProperty("MaximumMessageSize");
  });
});

it("keeps what SNS cannot deliver for 14 days, hidden six times as long as the dead-letter function may take", () => {
  const [, queue] = only(templateOf("minimal"), "AWS::SQS::Queue", { QueueName: "darkroom-undelivered" });
  expect(queue).toMatchObject({ MessageRetentionPeriod: 14 * 86400, VisibilityTimeout: 180 });
});
