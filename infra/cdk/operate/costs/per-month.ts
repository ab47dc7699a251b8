// What a month costs in which nobody asks for an image.

import type { Config, Runtime } from "../../lib/config/types.ts";
import { autoModeFee } from "./auto-mode.ts";
import { line, type Line, plain } from "./line.ts";
import { hourly, marketOf, pricedType } from "../../lib/instance-prices.ts";
import { HOURS_A_MONTH as HOURS, METRICS } from "./per-million.ts";
import { PRICES } from "./prices.ts";

/** The volumes of a system node (lib/cluster/system-nodes.ts). */
const SYSTEM_NODE_GIB = 44;

/**
 * Lambda reads a queue with five pollers, each with long polls of 20 s (Lambda developer guide, "Using Lambda
 * with Amazon SQS"); KEDA asks for two figures of each runtime's queue every 10 s
 * (chart/templates/scaledobject.yaml).
 */
const POLLS_A_MONTH = (5 * 3600 * HOURS) / 20;
const KEDA_A_MONTH = (2 * 3600 * HOURS) / 10;

/**
 * Metrics that alarms watch, per runtime and in all (lib/alarms.ts, lib/cluster/worker-alarms.ts); a test counts them in
 * the synthesized stacks. An alarm on metric math is billed for each of its metrics.
 */
const ALARMED_PER_RUNTIME = 6;
const ALARMED_OF_WORKERS = 7;
const ALARMED = 12;

/** Assumed: what an idle cluster of two nodes and some thirty pods sends to Container Insights and the logs. */
const OBSERVATIONS_A_MINUTE = 1500;
const IDLE_LOG_GB = 2;

/** Assumed: checkpoints, images in the registry and in the snapshot. */
const MODELS_GB = 10;
const IMAGES_GB = 25;

export function perMonth(config: Config): Line[] {
  const { runtimes, imageCache } = config;
  const readers = runtimes.length + 1;
  const perRuntime = ALARMED_PER_RUNTIME + (config.metrics.enabled ? ALARMED_OF_WORKERS : 0);
  const alarmed = ALARMED + perRuntime * runtimes.length;
  return [
    ...(config.cluster.existing ? [] : ownCluster(config)),
    ...runtimes.flatMap((runtime) => alwaysOn(config, runtime)),
    ...(config.cluster.install.observability ? insights() : []),
    line("alarms", `${alarmed} metrics`, alarmed, PRICES.alarm.usd),
    line("dashboard", "1", 1, PRICES.dashboard.usd),
    line(
      "dead-letter queues, read by Lambda",
      `${readers} × ${polls(POLLS_A_MONTH)}`,
      (readers * POLLS_A_MONTH) / 1e6,
      PRICES.sqs.usd,
    ),
    line(
      "queues, looked at by KEDA",
      `${runtimes.length} × ${polls(KEDA_A_MONTH)}`,
      (runtimes.length * KEDA_A_MONTH) / 1e6,
      PRICES.sqs.usd,
    ),
    line("models in S3", `${MODELS_GB} GB`, MODELS_GB, PRICES.s3Storage.usd),
    line("container images in ECR", `${IMAGES_GB} GB`, IMAGES_GB, PRICES.registry.usd),
    ...(imageCache.mode === "snapshot"
      ? [line("snapshot of the images", `${IMAGES_GB} GB`, IMAGES_GB, PRICES.snapshot.usd)]
      : []),
  ];
}

const polls = (requests: number) => `${plain(requests / 1e6)} M requests`;

/** In EKS Auto Mode, AWS chooses the nodes for everything but the runtimes; assumed are as many of the same type. */
function ownCluster(config: Config): Line[] {
  const { cluster } = config;
  const { instanceType, count } = cluster.systemNodes;
  const nats = Math.min(cluster.natGateways, cluster.zones);
  const node = hourly(instanceType, "on-demand");
  return [
    line("EKS control plane", `${HOURS} h`, HOURS, PRICES.eksCluster.usd),
    line(
      `system nodes: ${instanceType}${node === undefined ? ", whose price is not known here" : ""}`,
      `${count} × ${HOURS} h`,
      count * HOURS,
      node ?? 0,
    ),
    ...autoModeFee(config, "system nodes", instanceType, count * HOURS),
    line("their volumes", `${count} × ${SYSTEM_NODE_GIB} GiB`, count * SYSTEM_NODE_GIB, PRICES.volume.usd),
    line("NAT gateways", `${nats} × ${HOURS} h`, nats * HOURS, PRICES.natGateway.usd),
    line("their addresses", `${nats} × ${HOURS} h`, nats * HOURS, PRICES.publicAddress.usd),
  ];
}

/** Pods that are never scaled in, each on a node of its own. */
function alwaysOn(config: Config, runtime: Runtime): Line[] {
  const { replicas, instances, name } = runtime;
  if (replicas.min === 0) return [];
  const type = pricedType(runtime);
  const price = (type && hourly(type, marketOf(runtime))) || 0;
  return [
    line(
      `${name}: ${type ?? "a type without a price here"}, ${marketOf(runtime)}`,
      `${replicas.min} × ${HOURS} h`,
      replicas.min * HOURS,
      price,
    ),
    ...autoModeFee(config, name, type, replicas.min * HOURS),
    line(
      `${name}: data volumes`,
      `${replicas.min} × ${instances.volumeGiB} GiB`,
      replicas.min * instances.volumeGiB,
      PRICES.volume.usd,
    ),
    ...(config.metrics.enabled
      ? [line(`${name}: metrics`, `${METRICS}`, METRICS, PRICES.customMetric.usd)]
      : []),
  ];
}

function insights(): Line[] {
  const observations = (OBSERVATIONS_A_MINUTE * 60 * HOURS) / 1e6;
  return [
    line(
      "Container Insights",
      `${plain(OBSERVATIONS_A_MINUTE)} a minute = ${plain(observations)} M`,
      observations,
      PRICES.observations.usd,
    ),
    line("logs of an idle cluster", `${IDLE_LOG_GB} GB`, IDLE_LOG_GB, PRICES.logs.usd),
  ];
}
