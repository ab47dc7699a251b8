// What launches the nodes of an existing cluster, and what EKS Auto Mode has there instead of add-ons.

import { type Cluster, DescribeAccessEntryCommand, EKSClient } from "@aws-sdk/client-eks";

import type { Config } from "../../lib/config/types.ts";
import { aws, isAbsent } from "../support/aws.ts";
import { type Finding, missing, ok, warning } from "./finding.ts";
import { inCluster } from "./in-cluster.ts";

/** Whether the cluster has what `cluster.nodes` says. */
export function launcher(
  { cluster: { nodes } }: Config,
  name: string,
  { computeConfig }: Cluster,
): Finding[] {
  const enabled = computeConfig?.enabled === true;
  if (nodes === "auto")
    return enabled
      ? [ok(`${name} is in EKS Auto Mode`)]
      : [missing(`${name} is not in EKS Auto Mode: enable it, or set \`cluster.nodes: karpenter\``)];
  return enabled
    ? [
        warning(
          `${name} is in EKS Auto Mode, and \`cluster.nodes: karpenter\` does not use it. Helm does not install Karpenter's ` +
            "definitions over those of EKS: set `cluster.nodes: auto`, or `install.karpenter: false` if it has a Karpenter besides",
        ),
      ]
    : [];
}

/** Nodes join with an entry of type EC2 only, which EKS makes for the role of built-in pools and nobody for others. */
export async function nodeRole(
  { region, cluster }: Config,
  name: string,
  found: Cluster,
): Promise<Finding[]> {
  const { nodes, nodeRole } = cluster;
  if (nodes !== "auto" || !nodeRole) return [];
  const [, partition = "aws", account] = /^arn:([^:]+):eks:[^:]*:(\d+):/.exec(found.arn ?? "") ?? [];
  const principalArn = `arn:${partition}:iam::${account}:role/${nodeRole}`;
  const type = await accessType(new EKSClient(aws({ region })), name, principalArn);
  return [
    type === "EC2"
      ? ok(`its nodes join with ${nodeRole}`)
      : warning(
          `${nodeRole} has ${type ? `an access entry of type ${type}` : "no access entry"} (looked up without a path). Nodes of EKS ` +
            `Auto Mode need one of type EC2 with AmazonEKSAutoNodePolicy; without \`cluster.nodeRole\` the stack makes a role with it`,
        ),
  ];
}

async function accessType(client: EKSClient, clusterName: string, principalArn: string) {
  try {
    return (await client.send(new DescribeAccessEntryCommand({ clusterName, principalArn }))).accessEntry
      ?.type;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

interface ConfigMap {
  data?: Record<string, string>;
}

/** The switch for all network policies (EKS user guide, "Use Network Policies with EKS Auto Mode"). It is not ours to turn. */
export const policies = (config: Config): Promise<Finding> =>
  inCluster(
    config,
    async (kubernetes) => {
      const { items } = await kubernetes.get<ConfigMap>(
        ...["configmaps", "--namespace", "kube-system"],
        ...["--field-selector", "metadata.name=amazon-vpc-cni"],
      );
      return enforcement(items[0]?.data);
    },
    "its EKS Auto Mode enforces network policies only where a ConfigMap says so",
  );

/** What the data of that ConfigMap mean; undefined where there is none. */
export function enforcement(data: Record<string, string> | undefined): Finding {
  return data?.["enable-network-policy-controller"] === "true"
    ? ok("its EKS Auto Mode enforces network policies")
    : warning(
        "its EKS Auto Mode enforces no network policies, so pods reach whatever the VPC reaches: " +
          '`enable-network-policy-controller: "true"` in the ConfigMap amazon-vpc-cni of kube-system enforces those of all namespaces',
      );
}
