// What a new cluster's network needs: a VPC, addresses and NAT gateways, and vCPUs for the system nodes.

import {
  DescribeAddressesCommand,
  DescribeInstanceTypesCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
  paginateDescribeNatGateways,
} from "@aws-sdk/client-ec2";

import type { Config } from "../../lib/config/types.ts";
import { aws } from "../support/aws.ts";
import { clusterStack, Stacks } from "../support/stacks.ts";
import { type Check, type Finding, missing, note, ok } from "./finding.ts";
import { type Quota, quotaValue, request } from "./quotas.ts";

const VPCS: Quota = { service: "vpc", code: "L-F678F1CE", name: "VPCs per Region" };
const ADDRESSES: Quota = { service: "ec2", code: "L-0263D0A3", name: "EC2-VPC Elastic IPs" };
const NATS: Quota = { service: "vpc", code: "L-FE5A380F", name: "NAT gateways per Availability Zone" };
const STANDARD: Quota = {
  service: "ec2",
  code: "L-1216C47A",
  name: "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
};

/** The instance that makes a snapshot of images (images/cache/builder.yaml), an m6i.xlarge. */
const BUILDER_VCPUS = 4;

export const network: Check = async (config) => {
  if (config.cluster.existing) return [ok("the existing cluster's")];
  if (await Stacks.of(config).find(clusterStack(config))) return [ok("made by the deployed stack")];
  const ec2 = new EC2Client(aws(config));
  const { natGateways } = config.cluster;
  // Each NAT gateway takes an address, and lies in a zone of its own.
  return [
    await room(config, VPCS, await count(ec2, "vpcs"), 1),
    await room(config, ADDRESSES, await count(ec2, "addresses"), natGateways),
    await room(config, NATS, await natsInFullestZone(ec2), 1),
    ...(config.cluster.nodes === "auto" ? [] : await standardNodes(ec2, config)),
  ];
};

async function room(config: Config, quota: Quota, used: number, wanted: number): Promise<Finding> {
  const value = await quotaValue(config, quota);
  const text = `${quota.name}: ${used} of ${value} used, ${wanted} wanted`;
  return used + wanted <= value ? ok(text) : missing(`${text}. ${request(quota, used + wanted)}`);
}

/** Running instances are not counted: an account whose quota is full is met by its other uses first. */
async function standardNodes(ec2: EC2Client, config: Config): Promise<Finding[]> {
  const { instanceType, count } = config.cluster.systemNodes;
  const { InstanceTypes } = await ec2.send(
    new DescribeInstanceTypesCommand({ Filters: [{ Name: "instance-type", Values: [instanceType] }] }),
  );
  const vcpus = InstanceTypes?.[0]?.VCpuInfo?.DefaultVCpus;
  if (vcpus === undefined) return [missing(`EC2 knows no instance type ${instanceType} in this region`)];
  const value = await quotaValue(config, STANDARD);
  const nodes = count * vcpus;
  const text = `${STANDARD.name}: ${value} vCPUs, ${count} × ${instanceType} take ${nodes}`;
  if (nodes > value) return [missing(`${text}. ${request(STANDARD, nodes)}`)];
  const withBuilder = nodes + BUILDER_VCPUS;
  const builder = `${text}, and \`infra/operate cache-images\` ${BUILDER_VCPUS} more while it runs`;
  return [ok(text), ...(withBuilder > value ? [note(`${builder}. ${request(STANDARD, withBuilder)}`)] : [])];
}

async function count(ec2: EC2Client, what: "vpcs" | "addresses"): Promise<number> {
  if (what === "vpcs") return (await ec2.send(new DescribeVpcsCommand({}))).Vpcs?.length ?? 0;
  const { Addresses } = await ec2.send(new DescribeAddressesCommand({}));
  return Addresses?.filter(({ Domain }) => Domain === "vpc").length ?? 0;
}

async function natsInFullestZone(client: EC2Client): Promise<number> {
  const subnets: string[] = [];
  const query = { Filter: [{ Name: "state", Values: ["pending", "available"] }] };
  for await (const page of paginateDescribeNatGateways({ client }, query)) {
    subnets.push(...(page.NatGateways ?? []).flatMap(({ SubnetId }) => SubnetId ?? []));
  }
  if (subnets.length === 0) return 0;
  const { Subnets } = await client.send(new DescribeSubnetsCommand({ SubnetIds: [...new Set(subnets)] }));
  const zoneOf = new Map(Subnets?.map(({ SubnetId, AvailabilityZone }) => [SubnetId, AvailabilityZone]));
  const zones = subnets.map((subnet) => zoneOf.get(subnet));
  return Math.max(...zones.map((zone) => zones.filter((other) => other === zone).length));
}
