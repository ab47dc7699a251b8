// What the way of caching images needs: a finished snapshot, or instance stores.

import { DescribeSnapshotsCommand, EC2Client } from "@aws-sdk/client-ec2";

import { imageCacheMode } from "../../lib/config/image-cache-mode.ts";
import type { Config, Runtime } from "../../lib/config/types.ts";
import { aws, isAbsent } from "../support/aws.ts";
import { type Check, type Finding, missing, ok, warning } from "./finding.ts";
import { describeTypes } from "./instance-types.ts";

/** With fewer vCPUs than this, unpacking in parallel gains little: it is the CPU that it waits for. */
const VCPUS_FOR_SOCI = 16;

export const imageCache: Check = async (config) => {
  const ec2 = new EC2Client(aws(config));
  switch (config.imageCache.mode) {
    case "none":
      return [ok("none: each new node pulls its images")];
    case "snapshot":
      return snapshot(ec2, config);
    case "soci":
      return soci(ec2, config, config.runtimes);
    case "auto": {
      const [parallel, plain] = ["soci", "none"].map((mode) =>
        config.runtimes.filter((runtime) => imageCacheMode(config, runtime) === mode),
      ) as [Runtime[], Runtime[]];
      return [
        ...(parallel.length > 0 ? await soci(ec2, config, parallel) : []),
        ...plain.map(({ name }) => ok(`none for ${name}: not all of its types have an instance store`)),
      ];
    }
  }
};

async function snapshot(ec2: EC2Client, config: Config): Promise<Finding[]> {
  const id = config.imageCache.snapshot as string;
  try {
    const { Snapshots } = await ec2.send(new DescribeSnapshotsCommand({ SnapshotIds: [id] }));
    const { State, VolumeSize = 0 } = Snapshots?.[0] ?? {};
    if (State !== "completed") return [missing(`${id} is ${State ?? "not there"}; nodes need it completed`)];
    const small = config.runtimes.filter(({ instances }) => instances.volumeGiB < VolumeSize);
    if (small.length === 0) return [ok(`${id} is complete (${VolumeSize} GiB)`)];
    // EBS makes no volume that is smaller than its snapshot.
    return small.map(({ name }) =>
      missing(`runtime ${name}: instances.volumeGiB must be at least ${VolumeSize}`),
    );
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return [missing(`${id} does not exist in ${config.region}: \`infra/operate cache-images\` makes one`)];
  }
}

async function soci(ec2: EC2Client, config: Config, runtimes: Runtime[]): Promise<Finding[]> {
  const names = new Set(runtimes.flatMap(({ instances }) => instances.types));
  const types = (await describeTypes(ec2, config)).filter(({ InstanceType = "" }) => names.has(InstanceType));
  const without = types.filter(({ InstanceStorageSupported }) => !InstanceStorageSupported);
  const small = types.filter(({ VCpuInfo }) => (VCpuInfo?.DefaultVCpus ?? 0) < VCPUS_FOR_SOCI);
  const list = (some: typeof types) => some.map(({ InstanceType }) => InstanceType).join(", ");
  return [
    without.length === 0
      ? ok("soci: every instance type has an instance store")
      : missing(`soci unpacks onto the instance store, which ${list(without)} lacks`),
    ...(small.length > 0 ? [warning(`soci gains little below ${VCPUS_FOR_SOCI} vCPUs: ${list(small)}`)] : []),
  ];
}
