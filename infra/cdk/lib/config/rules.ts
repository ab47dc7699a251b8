// What no schema can say: rules across fields. Each returns what is wrong, in the words of the file.

import type { Config, Partition, Runtime } from "./types.ts";

/** SNS takes larger messages than 256 KiB in the commercial regions only (SNS quotas; the documents for China say 256 KB). */
const LARGEST_MESSAGE_IN_CHINA = 262_144;

/** A Spot instance is reclaimed 120 s after the notice (EC2 user guide, "Spot Instance interruption notices"). */
const SPOT_NOTICE_SECONDS = 120;

/** The worker's own rule: what it needs after `drain` to interrupt, give back and say goodbye, in seconds. */
const AFTER_DRAIN_SECONDS = 10;

/** SQS hides a message for at most 12 hours (SQS quotas). */
const LONGEST_VISIBILITY_SECONDS = 43_200;

/** How long SQS keeps a task that waits, in days: its own default, and the predecessors'. */
export const TASK_RETENTION_DAYS = 4;

/** The partition that a region belongs to. */
export function partitionOf(region: string): Partition {
  if (region.startsWith("cn-")) return "aws-cn";
  if (region.startsWith("us-gov-")) return "aws-us-gov";
  return "aws";
}

/** Everything that is wrong with a configuration that keeps to the schema. */
export function rules(config: Config): string[] {
  return [
    ...partition(config),
    ...imageCache(config),
    ...cluster(config),
    ...api(config),
    ...results(config),
    ...uniqueNames(config),
    ...modelRoutes(config),
    ...config.runtimes.flatMap((runtime, n) => runtimeRules(runtime, `runtimes.${n}`)),
  ];
}

function partition(config: Config): string[] {
  const actual = partitionOf(config.region);
  return config.partition === actual ? [] : [`partition: ${config.region} is in ${actual}`];
}

function imageCache({ imageCache }: Config): string[] {
  if (imageCache.mode === "snapshot" && !imageCache.snapshot) {
    return [
      "imageCache.snapshot: mode `snapshot` needs one; `infra/darkroom cache-images` makes it and writes it here",
    ];
  }
  if (imageCache.mode !== "snapshot" && imageCache.snapshot) {
    return [
      `imageCache.snapshot: is not used in mode \`${imageCache.mode}\`; say \`mode: snapshot\` or leave it out`,
    ];
  }
  const rate = imageCache.initializationRate;
  if (rate > 0 && imageCache.mode !== "snapshot") {
    return [
      "imageCache.initializationRate: only a volume made from a snapshot is initialized; use mode `snapshot`",
    ];
  }
  if (rate > 0 && rate < 100)
    return ["imageCache.initializationRate: EBS takes 100 to 300, or 0 for its own"];
  return [];
}

function cluster({ cluster, region }: Config): string[] {
  const faults: string[] = [];
  if (cluster.existing) {
    for (const field of ["vpc", "subnets", "securityGroups"] as const) {
      if (!cluster[field]) faults.push(`cluster.${field}: an existing cluster needs it`);
    }
    if (!cluster.install.karpenter && !cluster.nodeRole) {
      faults.push(
        "cluster.nodeRole: needed where Karpenter is not installed here: the role of the nodes it launches",
      );
    }
    if (cluster.identity === "irsa" && !cluster.oidcProvider) {
      faults.push("cluster.oidcProvider: roles for service accounts of an existing cluster need it");
    }
  } else {
    for (const field of ["vpc", "subnets", "securityGroups", "nodeRole", "oidcProvider"] as const) {
      if (cluster[field])
        faults.push(`cluster.${field}: goes with \`existing\`; a new cluster makes its own`);
    }
    for (const [part, wanted] of Object.entries(cluster.install)) {
      if (!wanted && part !== "observability") {
        faults.push(`cluster.install.${part}: a new cluster has none; runtimes would not start without it`);
      }
    }
  }
  if (
    partitionOf(region) === "aws-cn" &&
    (cluster.install.keda || cluster.install.karpenter) &&
    !cluster.charts
  ) {
    faults.push(
      "cluster.charts: GitHub and ECR Public are not reached from China; `infra/darkroom mirror` fills one",
    );
  }
  return faults;
}

function api(config: Config): string[] {
  if (partitionOf(config.region) === "aws-cn" && config.api.messageBytes > LARGEST_MESSAGE_IN_CHINA) {
    return [`api.messageBytes: SNS in China takes at most ${LARGEST_MESSAGE_IN_CHINA}`];
  }
  return [];
}

/** The bucket's rule knows no exception, so it deletes tasks that are too large for a message, too. */
function results({ results: { lifetimeDays }, runtimes }: Config): string[] {
  const outlived = lifetimeDays > 0 && lifetimeDays <= TASK_RETENTION_DAYS;
  return outlived && runtimes.some(({ claimCheck }) => claimCheck)
    ? [
        `results.lifetimeDays: a large task may wait ${TASK_RETENTION_DAYS} days; take more, 0, or \`claimCheck: false\``,
      ]
    : [];
}

/** Each runtime has two queues, and there are others: all of them need names of their own. */
function uniqueNames({ runtimes, subscriptions }: Config): string[] {
  const seen = new Set([
    "undelivered",
    "unnotified",
    ...subscriptions.queues.map((queue) => `results-${queue}`),
  ]);
  return runtimes.flatMap(({ name }, n) => {
    const queues = [name, `${name}-dlq`];
    const taken = queues.filter((queue) => seen.has(queue));
    for (const queue of queues) seen.add(queue);
    return taken.slice(0, 1).map((queue) => `runtimes.${n}.name: the queue \`${queue}\` is taken`);
  });
}

/** A v1alpha1 task names only its model, so a model must lead to one runtime. */
function modelRoutes({ runtimes }: Config): string[] {
  const owners = new Map<string, string>();
  return runtimes.flatMap((runtime, n) =>
    servedModels(runtime).flatMap((model) => {
      const owner = owners.get(model);
      owners.set(model, owner ?? runtime.name);
      return owner === undefined || owner === runtime.name
        ? []
        : [`runtimes.${n}: \`${model}\` is served by \`${owner}\` already, and tasks are routed by it`];
    }),
  );
}

/** The checkpoints that lead to a runtime; none means any. */
export function servedModels(runtime: Runtime): string[] {
  return [...new Set([...(runtime.model ? [runtime.model] : []), ...runtime.models])];
}

function runtimeRules(runtime: Runtime, place: string): string[] {
  const faults: string[] = [];
  const fault = (field: string, text: string) => faults.push(`${place}.${field}: ${text}`);
  const { deadlines, replicas, scaling, instances } = runtime;

  if (runtime.type === "sdwebui") {
    if (!runtime.model) fault("model", "SD WebUI starts with one");
    if (runtime.concurrency > 1) fault("concurrency", "SD WebUI runs one job at a time");
    if (runtime.nodes.allowed.length + runtime.nodes.denied.length > 0)
      fault("nodes", "SD WebUI has no nodes");
    if (runtime.taskTypes.includes("pipeline")) fault("taskTypes", "SD WebUI takes no `pipeline`");
  } else {
    if (runtime.model) fault("model", "ComfyUI's workflows name their checkpoints");
    if (runtime.models.length > 0) fault("models", "ComfyUI's workflows name their checkpoints");
    if (runtime.dynamicModel) fault("dynamicModel", "only SD WebUI loads what a task names");
    if (runtime.allowedSettings.length > 0) fault("allowedSettings", "ComfyUI has no settings to override");
    if (runtime.allowedScripts.length > 0) fault("allowedScripts", "ComfyUI has no scripts to select");
    if (runtime.taskTypes.some((type) => type !== "pipeline"))
      fault("taskTypes", "ComfyUI takes `pipeline` only");
  }
  if (runtime.models.length > 0 && !runtime.dynamicModel)
    fault("models", "only used with `dynamicModel: true`");

  if (replicas.min > replicas.max) fault("replicas", `min ${replicas.min} is above max ${replicas.max}`);
  scaling.schedules.forEach((schedule, n) => {
    if (schedule.replicas > replicas.max) {
      fault(`scaling.schedules.${n}.replicas`, `${schedule.replicas} is above replicas.max ${replicas.max}`);
    }
    if (schedule.start === schedule.end) fault(`scaling.schedules.${n}`, "start and end are the same");
  });

  if (deadlines.grace < deadlines.drain + AFTER_DRAIN_SECONDS) {
    fault("deadlines.grace", `must be at least ${AFTER_DRAIN_SECONDS} s above drain (${deadlines.drain})`);
  }
  if (deadlines.run + deadlines.visibility > LONGEST_VISIBILITY_SECONDS) {
    fault(
      "deadlines.run",
      `with visibility at most ${LONGEST_VISIBILITY_SECONDS} s, as long as SQS hides a message`,
    );
  }
  if (instances.purchase !== "on-demand" && deadlines.grace > SPOT_NOTICE_SECONDS) {
    fault(
      "deadlines.grace",
      `a Spot node is gone after ${SPOT_NOTICE_SECONDS} s; stay below, or take \`on-demand\``,
    );
  }
  return faults;
}
