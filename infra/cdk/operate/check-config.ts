import { load } from "../lib/config/load.ts";
import type { Config, Runtime } from "../lib/config/types.ts";
import type { Command } from "./support/command.ts";
import { columns, say } from "./support/console.ts";

export const command: Command = {
  help: `Names everything that is wrong with the configuration, or says what it means.
Nothing is called: it needs neither credentials nor a network.`,
  async run({ file }) {
    say(describe(load(file)));
  },
};

/** A configuration in words. */
export function describe(config: Config): string {
  const where = `${config.region} (${config.partition}), account ${config.account ?? "of the credentials"}`;
  return [
    `deployment  ${config.name} in ${where}`,
    `front door  ${config.api.ratePerSecond} requests/s per key, bursts of ${config.api.burst}; keys: ${config.api.keys.join(", ")}`,
    `results     ${config.results.bucket ?? "a bucket that CloudFormation names"}, ${lifetime(config)}`,
    `records     ${records(config)}`,
    `told        ${listeners(config)}`,
    `models      s3://${config.modelBucket}`,
    `cluster     ${cluster(config)}`,
    `images      ${config.images.registry ?? "the account's ECR"}, tag ${config.images.tag}, cache: ${config.imageCache.mode}`,
    "",
    columns([
      ["runtime", "type", "queue", "pods", "GPU nodes", "starts with"],
      ...config.runtimes.map((runtime) => row(config, runtime)),
    ]),
  ].join("\n");
}

function row(config: Config, runtime: Runtime): string[] {
  const { types, purchase } = runtime.instances;
  return [
    runtime.name,
    runtime.type,
    `${config.name}-${runtime.name}`,
    `${runtime.replicas.min} to ${runtime.replicas.max}`,
    `${purchase}: ${types.join(", ")}`,
    runtime.model ?? "what the workflow names",
  ];
}

function lifetime({ results }: Config): string {
  const days = results.lifetimeDays === 0 ? "kept for ever" : `deleted after ${results.lifetimeDays} days`;
  return `${days}; bucket and records ${results.keepOnDestroy ? "outlive" : "go with"} the stack`;
}

function records({ records: { enabled, days, maxUnfinishedTasks } }: Config): string {
  if (!enabled) return "none, and no v1";
  const quota = maxUnfinishedTasks === 0 ? "any number of" : `at most ${maxUnfinishedTasks}`;
  return `kept for ${days} days; ${quota} unfinished tasks per key`;
}

function listeners({ subscriptions: { emails, webhooks, queues } }: Config): string {
  const all = [
    ...emails.map((address) => `email ${address}`),
    ...webhooks.map((address) => `webhook ${address}`),
    ...queues.map((name) => `queue ${name}`),
  ];
  return all.length > 0 ? all.join(", ") : "nobody; the completion topic is there to subscribe to";
}

function cluster({ cluster }: Config): string {
  const { existing, version, zones, natGateways, systemNodes } = cluster;
  const auto = cluster.nodes === "auto";
  const included = auto ? ["karpenter", ...(existing ? [] : ["podIdentityAgent"])] : [];
  const parts = Object.entries(cluster.install).flatMap(([part, wanted]) =>
    wanted && !included.includes(part) ? [part] : [],
  );
  const nodes = auto ? "EKS Auto Mode" : `${systemNodes.count} × ${systemNodes.instanceType}`;
  const base = existing
    ? `the existing ${existing}${auto ? ", in EKS Auto Mode" : ""}`
    : `a new one: Kubernetes ${version}, ${zones} zones, ${natGateways} NAT, ${nodes}`;
  return `${base}; installs ${parts.join(", ") || "nothing"}`;
}
