// Whether the instance types fit, and in which zones they are offered.

import {
  DescribeSubnetsCommand,
  EC2Client,
  type InstanceTypeInfo,
  paginateDescribeInstanceTypeOfferings,
} from "@aws-sdk/client-ec2";

import { imageCacheMode } from "../../lib/config/image-cache-mode.ts";
import type { Config, Runtime } from "../../lib/config/types.ts";
import { aws } from "../support/aws.ts";
import { zonesFor } from "../support/zones.ts";
import { type Check, type Finding, missing, ok, warning } from "./finding.ts";
import { describeTypes, nvidiaGpus } from "./instance-types.ts";

/** The chart's `runtime.scratchGiB`. */
const CHART_SCRATCH_GIB = 20;

/** What one node holds besides: two images of some 18 GB unpacked, and the cache of models. */
const IMAGES_AND_MODELS_GIB = 60;

export const instances: Check = async (config) => {
  const ec2 = new EC2Client(aws(config));
  const [types, zones, usable] = await Promise.all([
    describeTypes(ec2, config),
    offers(ec2, config),
    clusterZones(ec2, config),
  ]);
  return config.runtimes.flatMap((runtime) => [
    ...runtime.instances.types.flatMap((type) => [...fits(type, types), ...launchable(config, type)]),
    ...offered(runtime, zones, usable),
    ...several(config, runtime, types),
  ]);
};

/** A type that pods could never start on. */
function fits(name: string, types: InstanceTypeInfo[]): Finding[] {
  const type = types.find(({ InstanceType }) => InstanceType === name);
  if (!type) return [missing(`EC2 knows no instance type ${name} in this region`)];
  // Types with a fraction of a GPU count none: what pods ask for are whole ones.
  if (nvidiaGpus(type) === 0) return [missing(`${name} has no whole NVIDIA GPU`)];
  // The runtimes' images are built for x86_64.
  if (!type.ProcessorInfo?.SupportedArchitectures?.includes("x86_64"))
    return [missing(`${name} is not x86_64`)];
  return [];
}

/** EKS Auto Mode launches GPU instances of these families (EKS user guide, "EKS Auto Mode supported instance reference"). */
const AUTO_MODE = /^(p6-b[23]00|p5e?n?|p4de?|p3dn|g7e|g6e?|gr6|g5|g4dn)\./;

function launchable({ cluster }: Config, type: string): Finding[] {
  return cluster.nodes === "auto" && !AUTO_MODE.test(type)
    ? [missing(`EKS Auto Mode launches no ${type}`)]
    : [];
}

/** Pods that share a node share its data volume, too, unless they write to the instance store. */
function several(config: Config, runtime: Runtime, types: InstanceTypeInfo[]): Finding[] {
  const own = types.filter(({ InstanceType = "" }) => runtime.instances.types.includes(InstanceType));
  const most = Math.max(...own.map(nvidiaGpus), 0);
  if (most <= 1 || imageCacheMode(config, runtime) === "soci") return [];
  const { scratchGiB = CHART_SCRATCH_GIB } =
    (runtime.values as { runtime?: { scratchGiB?: number } }).runtime ?? {};
  const wanted = IMAGES_AND_MODELS_GIB + most * scratchGiB;
  const text = `runtime ${runtime.name}: up to ${most} pods share a node`;
  return runtime.instances.volumeGiB >= wanted
    ? [ok(text)]
    : [
        warning(
          `${text}, whose volume should have ${wanted} GiB for their scratch space (instances.volumeGiB)`,
        ),
      ];
}

function offered(runtime: Runtime, offers: Map<string, string[]>, usable: string[] | undefined): Finding[] {
  const zonesOf = (type: string) => (offers.get(type) ?? []).filter((zone) => usable?.includes(zone) ?? true);
  const { types } = runtime.instances;
  const nowhere = types.filter((type) => zonesOf(type).length === 0);
  const where = usable ? `the cluster's zones (${usable.join(", ")})` : "any zone of the region";
  if (nowhere.length === types.length)
    return [missing(`runtime ${runtime.name}: none of its types is offered in ${where}`)];
  const list = types
    .filter((type) => !nowhere.includes(type))
    .map((type) => `${type} in ${letters(zonesOf(type))}`);
  return [
    ok(`runtime ${runtime.name}: ${list.join(", ")}`),
    ...(nowhere.length > 0
      ? [warning(`runtime ${runtime.name}: ${nowhere.join(", ")} not offered in ${where}`)]
      : []),
  ];
}

/** `us-west-2a, us-west-2b` as `a b`. Local zones keep their names. */
const letters = (zones: string[]) =>
  zones
    .map((zone) => /^[a-z-]+\d([a-z])$/.exec(zone)?.[1] ?? zone)
    .sort()
    .join(" ");

/** Zones by instance type. */
async function offers(client: EC2Client, config: Config): Promise<Map<string, string[]>> {
  const wanted = [...new Set(config.runtimes.flatMap(({ instances }) => instances.types))];
  const zones = new Map<string, string[]>();
  const query = {
    LocationType: "availability-zone",
    Filters: [{ Name: "instance-type", Values: wanted }],
  } as const;
  for await (const page of paginateDescribeInstanceTypeOfferings(
    { client },
    { ...query, Filters: [...query.Filters] },
  )) {
    for (const { InstanceType, Location } of page.InstanceTypeOfferings ?? []) {
      if (InstanceType && Location) zones.set(InstanceType, [...(zones.get(InstanceType) ?? []), Location]);
    }
  }
  return zones;
}

/** The zones that an existing cluster's subnets are in, or those chosen for a new one. */
async function clusterZones(client: EC2Client, config: Config): Promise<string[] | undefined> {
  const { subnets } = config.cluster;
  if (!subnets) return zonesFor(config);
  const { Subnets } = await client.send(new DescribeSubnetsCommand({ SubnetIds: subnets }));
  return [...new Set((Subnets ?? []).flatMap(({ AvailabilityZone }) => AvailabilityZone ?? []))].sort();
}
