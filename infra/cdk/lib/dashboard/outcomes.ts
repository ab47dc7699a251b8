// What became of tasks, how long they took, and what an image costs: from the metrics of the workers.

import { Duration, aws_cloudwatch as cloudwatch } from "aws-cdk-lib";

import type { Config } from "../config/types.ts";
import { type OF_RUNTIMES, runtimeMetric } from "../metrics.ts";
import { graph } from "./widgets.ts";

type Name = keyof typeof OF_RUNTIMES;

/** Cost and images of an hour: shorter periods differ by which of them has the end of a run. */
const COST_PERIOD = Duration.hours(1);

export function outcomes(config: Config): cloudwatch.IWidget[] {
  if (!config.metrics.enabled) return [];
  const sums = (names: Record<string, Name>) =>
    config.runtimes.flatMap(({ name }) =>
      Object.entries(names).map(([what, metric]) =>
        runtimeMetric(config, metric, name, { label: `${name}: ${what}`, statistic: "Sum" }),
      ),
    );
  const times = (metric: Name) =>
    config.runtimes.flatMap(({ name }) =>
      ["p50", "p95"].map((statistic) =>
        runtimeMetric(config, metric, name, { label: `${name}, ${statistic}`, statistic }),
      ),
    );
  return [
    graph(
      "Tasks by outcome",
      sums({
        succeeded: "TasksSucceeded",
        failed: "TasksFailed",
        canceled: "TasksCanceled",
        expired: "TasksExpired",
        "dead-lettered": "TasksDeadLettered",
      }),
    ),
    graph("Images", sums({ images: "Images" })),
    graph(
      "Attempts and leases",
      sums({
        "failed attempts": "AttemptsFailed",
        released: "DeliveriesReleased",
        "lost leases": "LeasesLost",
        interrupted: "RunsInterrupted",
      }),
    ),
    graph("Inputs, s", times("PrepareTime")),
    graph("Run, s", times("RunTime")),
    graph("Storing, s", times("StoreTime")),
  ];
}

export function costs(config: Config): cloudwatch.IWidget[] {
  if (!config.metrics.enabled) return [];
  const hourly = { period: COST_PERIOD, statistic: "Sum" };
  const dollars = config.runtimes.map(({ name }) =>
    runtimeMetric(config, "Cost", name, { label: name, ...hourly }),
  );
  const perImage = config.runtimes.map(
    ({ name }, n) =>
      new cloudwatch.MathExpression({
        expression: `cost${n} / images${n}`,
        label: name,
        period: COST_PERIOD,
        usingMetrics: {
          [`cost${n}`]: runtimeMetric(config, "Cost", name, hourly),
          [`images${n}`]: runtimeMetric(config, "Images", name, hourly),
        },
      }),
  );
  return [
    graph("Dollars per image, idle time included", perImage),
    graph("Dollars of GPU instances per hour", dollars),
  ];
}
