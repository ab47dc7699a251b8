// What the programs publish in CloudWatch, as "Metrics in CloudWatch" of docs/observability.md lists it. A test compares
// this list with the document, and dashboards and alarms take the names from here.

import { aws_cloudwatch as cloudwatch } from "aws-cdk-lib";

import type { Config } from "./config/types.ts";

type Unit = "Count" | "Seconds" | "Bytes" | "None";

/** Metrics with the dimension `runtime`. */
export const OF_RUNTIMES = {
  TasksAccepted: "Count",
  TasksReceived: "Count",
  TasksSucceeded: "Count",
  TasksFailed: "Count",
  TasksCanceled: "Count",
  TasksExpired: "Count",
  TasksDeadLettered: "Count",
  AttemptsFailed: "Count",
  DeliveriesReleased: "Count",
  LeasesLost: "Count",
  RuntimeBroken: "Count",
  RunsInterrupted: "Count",
  ModelSwitches: "Count",
  Images: "Count",
  GpuTime: "Seconds",
  WorkerTime: "Seconds",
  Cost: "None",
  WorkersReady: "Count",
  QueueAge: "Seconds",
  PrepareTime: "Seconds",
  RunTime: "Seconds",
  StoreTime: "Seconds",
  GpuGap: "Seconds",
  StartupTime: "Seconds",
  ScratchFree: "Bytes",
} satisfies Record<string, Unit>;

/** Metrics without dimensions. */
export const OF_THE_DEPLOYMENT = { RequestsRefused: "Count" } satisfies Record<string, Unit>;

/** The dimension that distinguishes the runtimes of a deployment. */
const DIMENSION = "runtime";

/** The namespace of a deployment's metrics. */
export const namespaceOf = ({ name }: Config) => `Darkroom/${name}`;

/** The log group that workers publish their metrics through: each pod writes into a stream of its own. */
export const workerLogGroupOf = ({ name }: Config) => `/darkroom/${name}/metrics`;

/** The variable by which a function publishes metrics, if they are enabled. */
export function functionMetrics(config: Config): Record<string, string> {
  return config.metrics.enabled ? { METRICS_NAMESPACE: namespaceOf(config) } : {};
}

/** A metric of one runtime. */
export function runtimeMetric(
  config: Config,
  metricName: keyof typeof OF_RUNTIMES,
  runtime: string,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  const dimensionsMap = { [DIMENSION]: runtime };
  return new cloudwatch.Metric({ namespace: namespaceOf(config), metricName, dimensionsMap, ...options });
}

/** A metric of the whole deployment. */
export function deploymentMetric(
  config: Config,
  metricName: keyof typeof OF_THE_DEPLOYMENT,
  options: cloudwatch.MetricOptions = {},
): cloudwatch.Metric {
  return new cloudwatch.Metric({ namespace: namespaceOf(config), metricName, ...options });
}
