// The values of the chart for one runtime: the preset of its type, the configuration over it, and its own `values` over both.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { aws_dynamodb as dynamodb, aws_s3 as s3, aws_sns as sns, aws_sqs as sqs } from "aws-cdk-lib";
import { parse } from "yaml";

import { gpuLimit } from "../config/gpus.ts";
import { imageCacheMode } from "../config/image-cache-mode.ts";
import type { Config, Runtime } from "../config/types.ts";
import { hourlyPrice } from "../instance-prices.ts";
import { namespaceOf, workerLogGroupOf } from "../metrics.ts";
import { tracingVariables } from "../tracing.ts";
import type { ServiceAccount } from "./identity.ts";
import { endpoints, privateInputs } from "./private-inputs.ts";
import type { TargetCluster } from "./target.ts";

/** The chart of one runtime. */
export const CHART = fileURLToPath(new URL("../../../chart", import.meta.url));

type Values = { [key: string]: unknown };

/** What a release of the chart stands on. */
export interface RuntimeSurroundings {
  config: Config;
  target: TargetCluster;
  /** What the names of Darkroom's images begin with. */
  registry: string;
  queue: sqs.IQueue;
  bucket: s3.IBucket;
  /** The table with the records of tasks, if tasks are recorded. */
  records: dynamodb.ITable | undefined;
  completions: sns.ITopic;
  account: ServiceAccount;
  annotations: Record<string, string>;
  /** The name of the role of the nodes. */
  nodeRoleName: string;
}

/** The chart's values for a runtime. */
export function runtimeValues(runtime: Runtime, around: RuntimeSurroundings): Values {
  return over(over(preset(runtime), own(runtime, around)), runtime.values);
}

function own(runtime: Runtime, around: RuntimeSurroundings): Values {
  const { config, target, registry } = around;
  return {
    runtime: {
      name: runtime.name,
      type: runtime.type,
      image: runtime.image ?? `${registry}/${runtime.type}:${config.images.tag}`,
      extraArgs: runtime.args,
      env: runtime.env,
      model: runtime.model,
    },
    worker: {
      image: `${registry}/worker:${config.images.tag}`,
      queueUrl: around.queue.queueUrl,
      completionTopicArn: around.completions.topicArn,
      resultsBucket: around.bucket.bucketName,
      recordTable: around.records?.tableName ?? "",
      dynamicModel: runtime.dynamicModel,
      notifyRunning: runtime.notifyRunning,
      concurrency: runtime.concurrency,
      attempts: runtime.attempts,
      urlSeconds: config.results.urlSeconds,
      inputHosts: runtime.inputs.hosts,
      inputBuckets: runtime.inputs.buckets,
      nodesAllowed: runtime.nodes.allowed,
      nodesDenied: runtime.nodes.denied,
      settingsAllowed: runtime.allowedSettings,
      scriptsAllowed: runtime.allowedScripts,
      uninterruptibleRun: runtime.uninterruptibleRun,
      maxPixels: runtime.limits.maxPixels,
      maxSteps: runtime.limits.maxSteps,
      maxImages: runtime.limits.maxImages,
      metrics: config.metrics.enabled
        ? { namespace: namespaceOf(config), logGroup: workerLogGroupOf(config) }
        : {},
      gpuUsdPerHour: hourlyPrice(config, runtime) ?? 0,
      env: tracingVariables(config),
    },
    deadlines: runtime.deadlines,
    aws: { region: config.region },
    serviceAccount: { name: around.account.name, annotations: around.annotations },
    replicas: runtime.replicas,
    scaling: runtime.scaling,
    models: { bucket: config.modelBucket },
    networkPolicy: {
      extraEgress: [...privateInputs(runtime.inputs.hosts), ...endpoints(config.cluster.egressNetworks)],
    },
    nodes: {
      ...nodesOf(config),
      clusterName: target.name,
      role: around.nodeRoleName,
      subnets: target.subnetIds,
      securityGroups: target.securityGroupIds,
      instanceTypes: runtime.instances.types,
      purchase: runtime.instances.purchase,
      volumeGiB: runtime.instances.volumeGiB,
      maxGpus: gpuLimit(runtime),
      imageCache: { ...config.imageCache, mode: imageCacheMode(config, runtime) },
    },
  };
}

/** What launches nodes, and what differs by it. */
function nodesOf({ cluster, name, tags }: Config): Values {
  return cluster.nodes === "auto"
    ? // EKS may not tag instances without further permissions, and replaces them after 21 days.
      { provider: "auto", expireAfter: "504h" }
    : // The deployment's name on instances is what their deletion is awaited by.
      { provider: "karpenter", tags: { ...tags, "darkroom:deployment": name } };
}

function preset({ type }: Runtime): Values {
  return parse(readFileSync(join(CHART, "presets", `${type}.yaml`), "utf8")) as Values;
}

/** As Helm merges files of values: maps key by key, anything else is replaced. */
function over(below: Values, above: Values): Values {
  const merged = { ...below };
  for (const [key, value] of Object.entries(above)) {
    if (value === undefined) continue;
    const under = merged[key];
    merged[key] = isMap(under) && isMap(value) ? over(under, value) : value;
  }
  return merged;
}

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
