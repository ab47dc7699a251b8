// Quotas of what pods are made of, and of what they write.

import type { Config, Runtime } from "../../lib/config/types.ts";
import { plain } from "../costs/line.ts";
import { pricedType } from "../../lib/instance-prices.ts";
import { recordWrites } from "../costs/per-million.ts";
import type { Fleet } from "./fleet.ts";
import { QUOTAS } from "./quota-values.ts";
import type { Use } from "./quotas.ts";
import type { Workload } from "./workload.ts";

/** Assumed: connections of a worker that stay open, to SQS and SNS. */
const CONNECTIONS = 4;
/** Assumed: the log agent sends each of a pod's two streams every 5 s. */
const LOG_CALLS = 2 / 5;
/** The VPC CNI keeps one network interface in reserve on each node. */
const INTERFACES = 2;
/** Of Bottlerocket itself (chart/templates/ec2nodeclass.yaml), in GiB. */
const SYSTEM_VOLUME = 4;

export function storage(
  { records, api }: Config,
  { imagesPerTask }: Workload,
  { demand: { rate } }: Fleet,
): Use[] {
  const puts = imagesPerTask + 1;
  const writes = recordWrites(records);
  const keys = api.keys.length;
  const written = { arithmetic: `${plain(rate)} × ${writes}`, demand: rate * writes };
  return [
    {
      what: "S3: PUT per second and prefix",
      arithmetic: `${plain(rate)} × (${imagesPerTask} + 1): images, \`.out\``,
      demand: rate * puts,
      quota: QUOTAS.s3Puts,
      remedy: "several `prefix`es in the tasks; S3 splits busy prefixes within minutes",
    },
    {
      what: "S3: GET and HEAD per second and prefix",
      arithmetic: `${plain(rate)} × (${imagesPerTask} + 1): images, \`.out\``,
      demand: rate * puts,
      quota: QUOTAS.s3Gets,
      remedy: "several `prefix`es in the tasks",
    },
    ...(records.enabled
      ? [
          {
            what: "DynamoDB: writes per second and table",
            ...written,
            quota: QUOTAS.dynamodbTable,
            remedy: raise,
          },
          {
            what: "DynamoDB: writes per second of a new table",
            ...written,
            quota: QUOTAS.dynamodbNewTable,
            remedy: "increase the rate over half an hour, or pre-warm the table",
          },
          {
            what: "DynamoDB: writes per second of one key (index `by_owner`)",
            arithmetic: `${plain(rate)} ÷ ${keys} API ${keys === 1 ? "key" : "keys"}`,
            demand: rate / keys,
            quota: QUOTAS.dynamodbPartition,
            remedy: "more `api.keys`",
          },
        ]
      : []),
  ];
}

export function cluster(config: Config, runtime: Runtime, { settled }: Fleet): Use[] {
  const { instances } = runtime;
  const type = pricedType(runtime) ?? instances.types[0] ?? "";
  const cpus = vcpus(type);
  const markets = instances.purchase === "spot-first" ? ["spot", "on-demand"] : [instances.purchase];
  const volumes = instances.volumeGiB + SYSTEM_VOLUME;
  return [
    ...markets.map((market) => ({
      what: `EC2: vCPUs of ${type.startsWith("p") ? "P" : "G"} instances, ${market === "spot" ? "Spot" : "On-Demand"}`,
      arithmetic: `${plain(settled)} pods × ${cpus} vCPUs (${type})`,
      demand: settled * cpus,
      quota: market === "spot" ? QUOTAS.gpuSpot : QUOTAS.gpuOnDemand,
      remedy: `${raise}, weeks ahead; \`preflight\` shows yours`,
    })),
    {
      what: "EBS: gp3 volumes, in TiB",
      arithmetic: `${plain(settled)} nodes × ${volumes} GiB ÷ 1,024`,
      demand: (settled * volumes) / 1024,
      quota: QUOTAS.gp3,
      remedy: `${raise}, or a smaller \`instances.volumeGiB\``,
    },
    {
      what: "VPC: network interfaces",
      arithmetic: `${plain(settled)} nodes × ${INTERFACES}`,
      demand: settled * INTERFACES,
      quota: QUOTAS.interfaces,
      remedy: raise,
    },
    {
      what: "Kubernetes: nodes of a cluster",
      arithmetic: `${plain(settled)} nodes`,
      demand: settled,
      quota: QUOTAS.nodes,
      remedy: "a second deployment with another cluster",
    },
    ...(config.cluster.existing
      ? []
      : [
          {
            what: "NAT gateway: connections to one destination",
            arithmetic: `${plain(settled)} pods × ${CONNECTIONS} ÷ ${config.cluster.natGateways}`,
            demand: (settled * CONNECTIONS) / config.cluster.natGateways,
            quota: QUOTAS.natConnections,
            remedy: "more `cluster.natGateways`",
          },
        ]),
    ...(config.cluster.install.observability
      ? [
          {
            what: "CloudWatch Logs: PutLogEvents per second",
            arithmetic: `${plain(settled)} pods × ${LOG_CALLS}`,
            demand: settled * LOG_CALLS,
            quota: QUOTAS.logs,
            remedy: raise,
          },
        ]
      : []),
  ];
}

/** By the size of an instance type; metal ones are taken for an xlarge. */
function vcpus(type: string): number {
  const size = type.split(".")[1] ?? "";
  return size === "large" ? 2 : 4 * Number(/^(\d+)xlarge$/.exec(size)?.[1] ?? 1);
}

const raise = "request an increase";
