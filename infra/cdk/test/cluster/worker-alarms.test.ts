import { describe, expect, it } from "vitest";

import { example, type Json, only, resources, synth } from "./support.ts";

const { template } = synth(example("full"));
const alarm = (name: string, of = template): Json =>
  only(of, "AWS::CloudWatch::Alarm", { AlarmName: `studio-${name}` })[1].Properties;

/** The metrics of an alarm on metric math, by their ids. */
const operands = ({ Metrics }: Json): Record<string, Json> =>
  Object.fromEntries(
    Metrics.filter(({ MetricStat }: Json) => MetricStat).map(({ Id, MetricStat }: Json) => [
      Id,
      { name: MetricStat.Metric.MetricName, dimensions: MetricStat.Metric.Dimensions, stat: MetricStat.Stat },
    ]),
  );
const expression = ({ Metrics }: Json) => Metrics.find(({ Expression }: Json) => Expression).Expression;

describe.each(["sdruntime", "comfyui"])("the workers of %s", (runtime) => {
  const dimensions = [{ Name: "runtime", Value: runtime }];

  it("are missed when tasks wait and nobody receives any for 20 minutes", () => {
    const found = alarm(`${runtime}-no-consumer`);
    const queue = [{ Name: "QueueName", Value: `studio-${runtime}` }];
    expect(operands(found)).toEqual({
      waiting: { name: "ApproximateNumberOfMessagesVisible", dimensions: queue, stat: "Maximum" },
      working: { name: "ApproximateNumberOfMessagesNotVisible", dimensions: queue, stat: "Maximum" },
      received: { name: "NumberOfMessagesReceived", dimensions: queue, stat: "Sum" },
    });
    expect(expression(found)).toBe("IF(waiting > 0 AND working == 0 AND received == 0, 1, 0)");
    expect(found).toMatchObject({ EvaluationPeriods: 4, Threshold: 0 });
    for (const { MetricStat } of found.Metrics) if (MetricStat) expect(MetricStat.Period).toBe(300);
  });

  it("are reported when a share of their tasks fails", () => {
    const found = alarm(`${runtime}-fails`);
    const names = Object.values(operands(found)).map(({ name }) => name);
    expect(names.sort()).toEqual(["TasksCanceled", "TasksExpired", "TasksFailed", "TasksSucceeded"]);
    expect(expression(found)).toContain("100 * failed / (failed + succeeded + canceled + expired)");
    expect(found).toMatchObject({ Threshold: 10, ComparisonOperator: "GreaterThanThreshold" });
  });

  it("are reported when a GPU is broken or a disk is nearly full", () => {
    expect(alarm(`${runtime}-broken`)).toMatchObject({
      Namespace: "Darkroom/studio",
      MetricName: "RuntimeBroken",
      Dimensions: dimensions,
      Statistic: "Sum",
      Threshold: 0,
    });
    expect(alarm(`${runtime}-scratch`)).toMatchObject({
      MetricName: "ScratchFree",
      Dimensions: dimensions,
      Statistic: "Minimum",
      ComparisonOperator: "LessThanThreshold",
      Threshold: 2 ** 30,
    });
  });
});

describe("the alarms of workers", () => {
  const alarms = (of = template) =>
    resources(of, "AWS::CloudWatch::Alarm").map(([, { Properties }]) => Properties);

  it("go where those of the service go, and link to the runbook", () => {
    expect(alarms()).toHaveLength(8);
    for (const { AlarmActions, AlarmDescription, TreatMissingData } of alarms()) {
      expect(JSON.stringify(AlarmActions)).toContain(":sns:us-west-2:111122223333:studio-alarms");
      expect(AlarmDescription).toContain("What to do: https://wiki.example.com/darkroom/runbook.md#runtime-");
      expect(TreatMissingData).toBe("notBreaching");
    }
    const silent = synth(example("minimal")).template;
    for (const quiet of alarms(silent)) expect(quiet).not.toHaveProperty("AlarmActions");
  });

  it("watch the queues alone where metrics are disabled", () => {
    const without = synth(example("full", ({ metrics }) => (metrics.enabled = false))).template;
    expect(alarms(without).map(({ AlarmName }) => AlarmName)).toEqual([
      "studio-sdruntime-no-consumer",
      "studio-comfyui-no-consumer",
    ]);
  });
});
