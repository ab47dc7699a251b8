// EC2's description of the configured instance types.

import { type EC2Client, type InstanceTypeInfo, paginateDescribeInstanceTypes } from "@aws-sdk/client-ec2";

import type { Config } from "../../lib/config/types.ts";

/** The types of all runtimes that exist; by a filter, since asking for an unknown one by name is an error. */
export async function describeTypes(client: EC2Client, config: Config): Promise<InstanceTypeInfo[]> {
  const names = [...new Set(config.runtimes.flatMap(({ instances }) => instances.types))];
  const found: InstanceTypeInfo[] = [];
  const query = { Filters: [{ Name: "instance-type", Values: names }] };
  for await (const page of paginateDescribeInstanceTypes({ client }, query)) {
    found.push(...(page.InstanceTypes ?? []));
  }
  return found;
}

/** How many NVIDIA GPUs a type has. */
export function nvidiaGpus({ GpuInfo }: InstanceTypeInfo): number {
  const nvidia = (GpuInfo?.Gpus ?? []).filter(({ Manufacturer }) => Manufacturer?.toUpperCase() === "NVIDIA");
  return nvidia.reduce((sum, { Count }) => sum + (Count ?? 0), 0);
}
