// Whether what is installed by its version exists in this region: the system of GPU nodes, and the VPC CNI.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { DescribeAddonVersionsCommand, EKSClient } from "@aws-sdk/client-eks";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { parse } from "yaml";

import type { Config, Runtime } from "../../lib/config/types.ts";
import { aws, isAbsent } from "../support/aws.ts";
import { INFRA } from "../support/paths.ts";
import { type Check, type Finding, missing, ok } from "./finding.ts";

export const versions: Check = async (config) => {
  if (config.cluster.nodes === "auto") return [ok("EKS Auto Mode brings them")];
  const systems = [...new Set(config.runtimes.map(bottlerocketVersion))];
  return [
    ...(await Promise.all(systems.map((version) => bottlerocket(config, version)))),
    ...(config.cluster.existing ? [] : [await vpcCni(config)]),
  ];
};

interface Nodes {
  nodes?: { bottlerocketVersion?: string };
}

/** The version of a runtime's nodes: its own, or the chart's. */
function bottlerocketVersion({ values }: Runtime): string {
  const own = (values as Nodes).nodes?.bottlerocketVersion;
  const chart = parse(readFileSync(resolve(INFRA, "chart/values.yaml"), "utf8")) as Required<Nodes>;
  return own ?? String(chart.nodes.bottlerocketVersion);
}

/** The parameter from which Karpenter takes the image of nodes with NVIDIA GPUs. */
async function bottlerocket(config: Config, version: string): Promise<Finding> {
  const Name = `/aws/service/bottlerocket/aws-k8s-${config.cluster.version}-nvidia/x86_64/${version}/image_id`;
  try {
    const { Parameter } = await new SSMClient(aws(config)).send(new GetParameterCommand({ Name }));
    return ok(`Bottlerocket ${version} is ${Parameter?.Value}`);
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return missing(
      `there is no Bottlerocket ${version} for Kubernetes ${config.cluster.version} in ${config.region} (${Name}): ` +
        "set `values.nodes.bottlerocketVersion` of the runtimes",
    );
  }
}

async function vpcCni(config: Config): Promise<Finding> {
  const { version, vpcCniVersion } = config.cluster;
  const { addons = [] } = await new EKSClient(aws(config)).send(
    new DescribeAddonVersionsCommand({ addonName: "vpc-cni", kubernetesVersion: version }),
  );
  const offered = addons.flatMap(({ addonVersions = [] }) =>
    addonVersions.flatMap(({ addonVersion }) => addonVersion ?? []),
  );
  return offered.includes(vpcCniVersion)
    ? ok(`VPC CNI ${vpcCniVersion}`)
    : missing(
        `EKS has no VPC CNI ${vpcCniVersion} for Kubernetes ${version} in ${config.region}, but ` +
          `${offered.slice(0, 5).join(", ")}: set \`cluster.vpcCniVersion\``,
      );
}
