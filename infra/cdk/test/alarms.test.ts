import { describe, expect, it } from "vitest";

import { all, only, templateOf, type Json } from "./support/service.ts";

const template = templateOf("full");
const alarms = Object.values(all(template, "AWS::CloudWatch::Alarm"));
const alarm = (name: string): Json =>
  only(template, "AWS::CloudWatch::Alarm", { AlarmName: `studio-${name}` })[1];
const of = (dimension: string, value: object | string) => [{ Name: dimension, Value: value }];
const queueName = (name: string) => ({
  "Fn::GetAtt": [only(template, "AWS::SQS::Queue", { QueueName: `studio-${name}` })[0], "QueueName"],
});

it("rises when the oldest task of a runtime waits for longer than the configuration allows", () => {
  for (const runtime of ["sdruntime", "comfyui"]) {
    expect(alarm(`${runtime}-waits`)).toMatchObject({
      MetricName: "ApproximateAgeOfOldestMessage",
      Statistic: "Maximum",
      Dimensions: of("QueueName", queueName(runtime)),
      ComparisonOperator: "GreaterThanThreshold",
      Threshold: 20 * 60,
    });
  }
});

describe.each(["sdruntime-dlq", "comfyui-dlq", "undelivered"])("for the dead letters in %s", (queue) => {
  const name = queue.replace("-dlq", "-dead-letters");

  it.each([
    ["unread", "ApproximateNumberOfMessagesVisible"],
    ["stuck", "ApproximateNumberOfMessagesNotVisible"],
  ])("rises when they stay %s for 15 minutes", (how, metric) => {
    expect(alarm(`${name}-${how}`)).toMatchObject({
      MetricName: metric,
      Statistic: "Maximum",
      Dimensions: of("QueueName", queueName(queue)),
      Period: 300,
      EvaluationPeriods: 3,
      Threshold: 0,
    });
  });
});

it("rises as soon as a subscriber does not take a notification", () => {
  expect(alarm("unnotified")).toMatchObject({
    MetricName: "ApproximateNumberOfMessagesVisible",
    Dimensions: of("QueueName", queueName("unnotified")),
    EvaluationPeriods: 1,
    Threshold: 0,
  });
});

it.each(["tasks", "completions"])(
  "rises when the topic for %s does not deliver, or loses a message",
  (topic) => {
    const [id] = only(template, "AWS::SNS::Topic", { TopicName: `studio-${topic}` });
    const Dimensions = of("TopicName", { "Fn::GetAtt": [id, "TopicName"] });
    expect(alarm(`${topic}-not-delivered`)).toMatchObject({
      MetricName: "NumberOfNotificationsFailed",
      Dimensions,
    });
    expect(alarm(`${topic}-lost`)).toMatchObject({
      MetricName: "NumberOfNotificationsFailedToRedriveToDlq",
      Dimensions,
    });
  },
);

it.each(["front-door", "dead-letter"])("rises when the %s function fails or is throttled", (name) => {
  const [id] = only(template, "AWS::Lambda::Function", { FunctionName: `studio-${name}` });
  const Dimensions = of("FunctionName", { Ref: id });
  expect(alarm(`${name}-errors`)).toMatchObject({ MetricName: "Errors", Statistic: "Sum", Dimensions });
  expect(alarm(`${name}-throttles`)).toMatchObject({ MetricName: "Throttles", Statistic: "Sum", Dimensions });
});

it("rises when a task was dead-lettered", () => {
  expect(alarm("comfyui-dead-lettered")).toMatchObject({
    Namespace: "Darkroom/studio",
    MetricName: "TasksDeadLettered",
    Statistic: "Sum",
    Dimensions: of("runtime", "comfyui"),
    Threshold: 0,
  });
  const without = templateOf("full", ({ metrics }) => (metrics.enabled = false));
  const namespaces = Object.values(all(without, "AWS::CloudWatch::Alarm")).map(({ Namespace }) => Namespace);
  expect(namespaces).not.toContain("Darkroom/studio");
});

it("uses no metric math, which the emulator does not deploy", () => {
  expect(alarms.filter((each) => "Metrics" in each)).toEqual([]);
});

it("rises when callers are answered 5xx", () => {
  expect(alarm("front-door-5xx")).toMatchObject({
    Namespace: "AWS/ApiGateway",
    MetricName: "5XXError",
    Dimensions: of("ApiName", expect.anything()),
    Statistic: "Sum",
  });
});

it("stays calm while nothing is going on", () => {
  expect(new Set(alarms.map(({ TreatMissingData }) => TreatMissingData))).toEqual(new Set(["notBreaching"]));
});

it("notifies the operators when it fires and when it recovers, where there is an address", () => {
  const [topic] = only(template, "AWS::SNS::Topic", { TopicName: "studio-alarms" });
  for (const { AlarmActions, OKActions, AlarmDescription } of alarms) {
    expect([AlarmActions, OKActions]).toEqual([[{ Ref: topic }], [{ Ref: topic }]]);
    expect(AlarmDescription).toContain("What to do: https://wiki.example.com/darkroom/runbook.md#");
  }
  const silent = Object.values(all(templateOf("minimal"), "AWS::CloudWatch::Alarm"));
  expect(silent.length).toBeGreaterThan(0);
  for (const quiet of silent) expect(quiet).not.toHaveProperty("AlarmActions");
});
