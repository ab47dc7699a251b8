// EC2 counts running GPU instances in vCPUs, apart for On-Demand and Spot, and for the families G and P.

import { EC2Client, type InstanceTypeInfo } from "@aws-sdk/client-ec2";

import type { Config, Runtime } from "../../lib/config/types.ts";
import { aws } from "../support/aws.ts";
import { type Check, type Finding, missing, ok, warning } from "./finding.ts";
import { describeTypes, nvidiaGpus } from "./instance-types.ts";
import { type Quota, quotaValue, request } from "./quotas.ts";

type Family = "G" | "P";
type Market = "on-demand" | "spot";

/** Names and codes as `aws service-quotas list-service-quotas --service-code ec2` prints them. */
const QUOTAS: Record<Family, Record<Market, Quota>> = {
  G: {
    "on-demand": { service: "ec2", code: "L-DB2E81BA", name: "Running On-Demand G and VT instances" },
    spot: { service: "ec2", code: "L-3819A6DF", name: "All G and VT Spot Instance Requests" },
  },
  P: {
    "on-demand": { service: "ec2", code: "L-417A185B", name: "Running On-Demand P instances" },
    spot: { service: "ec2", code: "L-7212CCBC", name: "All P Spot Instance Requests" },
  },
};

export const gpuQuotas: Check = async (config) => {
  const types = await describeTypes(new EC2Client(aws(config)), config);
  const demands = config.runtimes.flatMap((runtime) => demand(runtime, types) ?? []);
  const findings: Finding[] = [];
  for (const family of ["G", "P"] as const) {
    const ofFamily = demands.filter((demand) => demand.family === family);
    if (ofFamily.length > 0) findings.push(...(await enough(config, family, ofFamily)));
  }
  return findings;
};

interface Demand {
  family: Family;
  runtime: Runtime;
  /** vCPUs of one node, and of as many as hold all pods. */
  one: number;
  all: number;
}

/**
 * What a runtime takes on its most frugal type: each pod has a GPU. Families without a quota here have no
 * NVIDIA GPU.
 */
function demand(runtime: Runtime, types: InstanceTypeInfo[]): Demand | undefined {
  const options = types
    .filter(({ InstanceType }) => runtime.instances.types.includes(InstanceType as string))
    .flatMap((type): Demand[] => {
      const family = /^(g|p)r?\d/.exec(type.InstanceType ?? "")?.[1]?.toUpperCase() as Family | undefined;
      const [gpus, one] = [nvidiaGpus(type), type.VCpuInfo?.DefaultVCpus ?? 0];
      return family && gpus > 0
        ? [{ family, runtime, one, all: Math.ceil(runtime.replicas.max / gpus) * one }]
        : [];
    });
  return options.sort((a, b) => a.all - b.all)[0];
}

async function enough(config: Config, family: Family, demands: Demand[]): Promise<Finding[]> {
  const markets = [...new Set(demands.flatMap(({ runtime }) => marketsOf(runtime)))];
  const have = new Map<Market, number>();
  for (const market of markets) have.set(market, await quotaValue(config, QUOTAS[family][market]));
  return [
    ...demands.flatMap((demand) => oneNode(demand, have)),
    ...markets.map((market) => {
      const using = demands.filter(({ runtime }) => marketsOf(runtime).includes(market));
      return allPods(QUOTAS[family][market], have.get(market) ?? 0, using);
    }),
  ];
}

const marketsOf = ({ instances: { purchase } }: Runtime): Market[] =>
  purchase === "spot-first" ? ["spot", "on-demand"] : [purchase];

/** A runtime that gets no node at all, or from one market only. */
function oneNode({ runtime, family, one }: Demand, have: Map<Market, number>): Finding[] {
  const markets = marketsOf(runtime);
  const shut = markets.filter((market) => (have.get(market) ?? 0) < one);
  if (shut.length === 0) return [];
  const quotas = shut.map((market) => `${QUOTAS[family][market].name} is ${have.get(market)}`).join(" and ");
  const text = `runtime ${runtime.name}: one node takes ${one} vCPUs, but ${quotas}`;
  if (shut.length === markets.length) return [missing(text)];
  return [warning(`${text}; every node will be ${shut.includes("spot") ? "On-Demand" : "Spot"}`)];
}

/** Whether all pods may run at once. Other instances of the account count against the same quota. */
function allPods(quota: Quota, have: number, demands: Demand[]): Finding {
  const all = demands.reduce((sum, demand) => sum + demand.all, 0);
  const text = `${quota.name}: ${have} vCPUs; all pods of ${demands.map(({ runtime }) => runtime.name).join(", ")} take ${all}`;
  return have >= all ? ok(text) : warning(`${text}, so fewer will run at once. More: ${request(quota, all)}`);
}
