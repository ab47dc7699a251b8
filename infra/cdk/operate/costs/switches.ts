// What each switch of the configuration changes, by comparing two bills.

import type { Config } from "../../lib/config/types.ts";
import { dollars, total } from "./line.ts";
import { perMillion, SMALL, type Workload } from "./per-million.ts";
import { perMonth } from "./per-month.ts";

interface Switch {
  /** As in the configuration file. */
  name: string;
  turn: (config: Config) => void;
  /** The tasks that it matters for, where it matters only for some. */
  work?: Workload;
  /** What the bills above do not show. */
  besides: string;
}

const runtimesOf = (change: (runtime: Config["runtimes"][number]) => void) => (config: Config) =>
  config.runtimes.forEach(change);

const SWITCHES: Switch[] = [
  {
    name: "cluster.existing: …",
    turn: (config) => (config.cluster.existing = "shared"),
    besides: "the cluster, its nodes and its network are somebody's already",
  },
  {
    name: "cluster.natGateways: 3",
    turn: (config) => (config.cluster.natGateways = 3),
    besides: "a zone's failure leaves the others' way out; no traffic to SQS and SNS crosses zones",
  },
  {
    name: "install.observability: false",
    turn: (config) => (config.cluster.install.observability = false),
    besides:
      "neither container logs nor GPU metrics; queues, functions and alarms stay watched. Each GPU node adds to it while it lives",
  },
  {
    name: "replicas.min: 1",
    turn: runtimesOf((runtime) => (runtime.replicas.min = 1)),
    besides: "no cold start for the first task",
  },
  {
    name: "instances.purchase: on-demand",
    turn: runtimesOf((runtime) => (runtime.instances.purchase = "on-demand")),
    besides: "no interruptions; `deadlines.grace` may be longer than two minutes",
  },
  {
    name: "instances.types: [g6.xlarge]",
    turn: runtimesOf((runtime) => (runtime.instances.types = ["g6.xlarge"])),
    besides: "at the same speed; measure it. More types, fewer interruptions",
  },
  {
    name: "results.lifetimeDays: 7",
    turn: (config) => (config.results.lifetimeDays = 7),
    besides: "grows with the images' size",
  },
  {
    name: "records.enabled: false",
    turn: (config) => (config.records.enabled = false),
    besides: "no `v1`: tasks cannot be watched, listed, canceled or retried",
  },
  {
    name: "metrics.enabled: false",
    turn: (config) => (config.metrics.enabled = false),
    besides:
      "the dashboard shows neither outcomes nor costs; no alarms about failed tasks, broken GPUs and full disks",
  },
  {
    name: "tracing.enabled: false",
    turn: (config) => (config.tracing.enabled = false),
    besides: "no traces of functions and workers; X-Ray's default rule still samples API Gateway and Lambda",
  },
  {
    name: "subscriptions.webhooks: [one]",
    turn: (config) => (config.subscriptions.webhooks = ["https://hooks.example.com/darkroom"]),
    besides: "deliveries to SQS cost nothing at SNS",
  },
  {
    name: "api.messageBytes: 1048576",
    turn: (config) => (config.api.messageBytes = 1_048_576),
    work: { ...SMALL, requestKb: 800 },
    besides:
      "for requests of 800 kB: 13 times 64 KB at SNS and twice at SQS, instead of one PUT and one GET by claim check",
  },
  {
    name: "cluster.nodes: auto",
    turn: (config) => (config.cluster.nodes = "auto"),
    besides: "AWS operates Karpenter, drivers and the repair of nodes; nodes live for 21 days at most",
  },
  {
    name: "imageCache.mode: soci",
    turn: (config) => {
      config.imageCache.mode = "soci";
      for (const { instances } of config.runtimes) instances.types = ["g5.4xlarge"];
    },
    besides:
      "with the 16 vCPUs and the instance store that it wants, here g5.4xlarge at half its On-Demand price",
  },
  {
    name: "imageCache.mode: snapshot",
    turn: (config) => (config.imageCache.mode = "snapshot"),
    besides: "minutes less for each node's start; faster restoring costs more, see below",
  },
];

/**
 * A row per switch: its name, dollars more or less per idle month and per million images, and what else it
 * does.
 */
export function switches(config: Config): string[][] {
  return SWITCHES.map(({ name, turn, work = SMALL, besides }) => {
    const turned = structuredClone(config);
    turn(turned);
    const [before, after] = [bill(config, work), bill(turned, work)];
    const changes = [after.month - before.month, after.million - before.million];
    return [`\`${name}\``, ...changes.map(difference), besides];
  });
}

function bill(config: Config, work: Workload) {
  const [runtime] = config.runtimes;
  return { month: total(perMonth(config)), million: runtime ? total(perMillion(config, runtime, work)) : 0 };
}

function difference(usd: number): string {
  if (Math.abs(usd) < 0.005) return "–";
  return `${usd > 0 ? "+" : "−"}${dollars(Math.abs(usd))}`;
}
