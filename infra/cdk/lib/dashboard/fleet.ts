// Pods, nodes and GPUs: from the workers, from Container Insights, and from EventBridge.

import { Duration, aws_cloudwatch as cloudwatch } from "aws-cdk-lib";

import { spotRuleName } from "../cluster/karpenter-interruptions.ts";
import { installsKarpenter } from "../config/installs-karpenter.ts";
import type { Config } from "../config/types.ts";
import { runtimeMetric } from "../metrics.ts";
import { graph } from "./widgets.ts";

/** Each pod reports once a minute. */
const MINUTE = Duration.minutes(1);

/** What Container Insights with enhanced observability calls its metrics (CloudWatch agent, awsemf/kubernetes.go). */
const INSIGHTS = "ContainerInsights";

export function fleet(config: Config): cloudwatch.IWidget[] {
  return [
    ...(config.metrics.enabled ? ofWorkers(config) : []),
    ...(config.cluster.install.observability ? ofTheCluster(config) : []),
    ...(installsKarpenter(config) ? [interruptions(config)] : []),
  ];
}

function ofWorkers(config: Config): cloudwatch.IWidget[] {
  const sum = { statistic: "Sum" };
  const each = <T>(of: (runtime: string, n: number) => T) =>
    config.runtimes.map(({ name }, n) => of(name, n));
  const busy = each(
    (name, n) =>
      new cloudwatch.MathExpression({
        expression: `100 * busy${n} / time${n}`,
        label: name,
        usingMetrics: {
          [`busy${n}`]: runtimeMetric(config, "GpuTime", name, sum),
          [`time${n}`]: runtimeMetric(config, "WorkerTime", name, sum),
        },
      }),
  );
  return [
    graph(
      "Workers that receive tasks",
      each((label) => runtimeMetric(config, "WorkersReady", label, { label, ...sum, period: MINUTE })),
    ),
    graph("GPU busy, % of the workers' time", busy),
    graph(
      "Idle GPU between two runs, p95, s",
      each((label) => runtimeMetric(config, "GpuGap", label, { label, statistic: "p95" })),
    ),
    graph("Cold starts", [
      ...each((name) =>
        runtimeMetric(config, "StartupTime", name, { label: name, statistic: "SampleCount" }),
      ),
    ]),
    graph(
      "Duration of a cold start, s",
      each((label) => runtimeMetric(config, "StartupTime", label, { label, statistic: "Maximum" })),
    ),
    graph("Model switches, broken runtimes", [
      ...each((name) => runtimeMetric(config, "ModelSwitches", name, { label: `${name}: switches`, ...sum })),
      ...each((name) => runtimeMetric(config, "RuntimeBroken", name, { label: `${name}: broken`, ...sum })),
    ]),
    graph(
      "Free scratch space, bytes",
      each((label) => runtimeMetric(config, "ScratchFree", label, { label, statistic: "Minimum" })),
    ),
  ];
}

function ofTheCluster(config: Config): cloudwatch.IWidget[] {
  const ClusterName = config.cluster.existing ?? config.name;
  const ofNodes = (metricName: string, label: string, statistic = "Average") =>
    new cloudwatch.Metric({
      namespace: INSIGHTS,
      metricName,
      dimensionsMap: { ClusterName },
      label,
      statistic,
    });
  // Of a Deployment, too, `PodName` is the name.
  const ofPods = (metricName: string, what: string, statistic = "Average") =>
    config.runtimes.map(
      ({ name }) =>
        new cloudwatch.Metric({
          namespace: INSIGHTS,
          metricName,
          dimensionsMap: { ClusterName, Namespace: config.name, PodName: name },
          label: `${name}${what}`,
          statistic,
        }),
    );
  return [
    graph("Pods", [
      ...ofPods("replicas_desired", ": desired", "Maximum"),
      ...ofPods("replicas_ready", ": ready", "Maximum"),
    ]),
    graph("Nodes of the cluster", [
      ofNodes("cluster_node_count", "nodes", "Maximum"),
      ofNodes("cluster_failed_node_count", "failed", "Maximum"),
    ]),
    graph("GPU utilization (DCGM), %", ofPods("pod_gpu_utilization", "")),
    graph("GPU memory (DCGM), %", ofPods("pod_gpu_memory_utilization", "")),
    graph("GPUs of all nodes (DCGM), %", [
      ofNodes("node_gpu_utilization", "utilization"),
      ofNodes("node_gpu_memory_utilization", "memory"),
    ]),
    graph("Hottest GPU (DCGM), °C", [ofNodes("node_gpu_temperature", "temperature", "Maximum")]),
  ];
}

/** Of the account in that region: the event names instances, not clusters. */
function interruptions(config: Config): cloudwatch.IWidget {
  return graph("Spot interruptions in the account", [
    new cloudwatch.Metric({
      namespace: "AWS/Events",
      metricName: "TriggeredRules",
      dimensionsMap: { RuleName: spotRuleName(config.name) },
      label: "interruptions",
      statistic: "Sum",
    }),
  ]);
}
