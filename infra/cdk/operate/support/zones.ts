// The availability zones of a new cluster.

import { type AvailabilityZone, DescribeAvailabilityZonesCommand, EC2Client } from "@aws-sdk/client-ec2";

import type { Config } from "../../lib/config/types.ts";
import { aws } from "./aws.ts";
import { clusterStack, outputOf, Stacks } from "./stacks.ts";

/** Zones whose subnets EKS refuses for a cluster, by id (EKS user guide, "Amazon EKS networking requirements"). */
const REFUSED_BY_EKS = ["use1-az3", "usw1-az2", "cac1-az3"];

/** EKS wants subnets in at least this many zones. */
export const LEAST_ZONES = 2;

/**
 * The names of the zones for a new cluster: those that it was deployed with, or else as many as the configuration asks for
 * and the region has for EKS. Undefined where the stack does not choose them: for an existing cluster, and one that was
 * deployed before zones were handed over, whose subnets must stay.
 */
export async function zonesFor(config: Config): Promise<string[] | undefined> {
  if (config.cluster.existing) return undefined;
  const deployed = await Stacks.of(config).find(clusterStack(config));
  if (deployed) return outputOf(deployed, "Zones")?.split(",");
  const { AvailabilityZones = [] } = await new EC2Client(aws(config)).send(
    new DescribeAvailabilityZonesCommand({}),
  );
  return choose(AvailabilityZones, config.cluster.zones);
}

/** The names of the first `count` zones that EKS accepts. Local zones and Wavelength zones are none. */
export function choose(zones: AvailabilityZone[], count: number): string[] {
  return zones
    .filter(
      ({ State, ZoneType }) =>
        State === "available" && (ZoneType ?? "availability-zone") === "availability-zone",
    )
    .filter(({ ZoneId = "" }) => !REFUSED_BY_EKS.includes(ZoneId))
    .flatMap(({ ZoneName }) => ZoneName ?? [])
    .sort()
    .slice(0, count);
}
