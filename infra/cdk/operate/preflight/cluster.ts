// An existing cluster: whether it is up, and lets a deployment in.

import { DescribeSecurityGroupsCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { type Cluster, DescribeAddonCommand, DescribeClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { parse } from "yaml";

import { KEDA_VERSION } from "../../lib/cluster/third-party-charts.ts";
import type { Config, Runtime } from "../../lib/config/types.ts";
import { aws, isAbsent } from "../support/aws.ts";
import type { Kubernetes } from "../support/kubernetes.ts";
import * as autoMode from "./auto-mode.ts";
import { type Check, type Finding, missing, ok, warning } from "./finding.ts";
import { inCluster } from "./in-cluster.ts";

/** The versions that the pinned KEDA was tested on (its documents, "Cluster", 2.20) and that EKS supports. */
const VERSIONS = ["1.33", "1.34", "1.35"];

/**
 * Access entries are how the deployment gets in; CONFIG_MAP has none (EKS user guide, "Grant IAM users
 * access").
 */
const MODES = ["API", "API_AND_CONFIG_MAP"];

/** The first version with `scalingModifiers` and the identity of the operator (`podIdentity.provider: aws`). */
const LEAST_KEDA = "2.13";
const KEDA = "app.kubernetes.io/name=keda-operator";

export const cluster: Check = async (config) => {
  const name = config.cluster.existing;
  if (!name) return access(config);
  const found = await describe(config, name);
  if (!found) return [missing(`${name} does not exist in ${config.region}`)];
  return [
    ...state(name, found),
    ...autoMode.launcher(config, name, found),
    ...(await autoMode.nodeRole(config, name, found)),
    ...identity(config, name, found),
    ...family(config, found),
    ...(await parts(config, found)),
    await (config.cluster.nodes === "auto" ? autoMode.policies(config) : policies(config, name)),
    ...(await keda(config)),
  ];
};

/** Who reaches the API of a new cluster, and may use it. */
function access({ cluster: { apiAccess, administrators } }: Config): Finding[] {
  return [
    ok("a new one"),
    ...(apiAccess.includes("0.0.0.0/0")
      ? [warning("its Kubernetes API is open to the internet; `cluster.apiAccess` limits it to networks")]
      : []),
    ...(administrators.length === 0 ? [warning("nobody may use kubectl: set `cluster.administrators`")] : []),
  ];
}

/** Whether the VPC CNI enforces network policies. */
async function policies(config: Config, clusterName: string): Promise<Finding> {
  try {
    const { addon } = await new EKSClient(aws(config)).send(
      new DescribeAddonCommand({ clusterName, addonName: "vpc-cni" }),
    );
    const values = parse(addon?.configurationValues || "{}") as { enableNetworkPolicy?: unknown };
    return String(values.enableNetworkPolicy) === "true"
      ? ok("its VPC CNI enforces network policies")
      : warning(
          "its VPC CNI enforces no network policies, so pods reach whatever the VPC reaches: " +
            `\`aws eks update-addon --cluster-name ${clusterName} --addon-name vpc-cni ` +
            '--configuration-values \'{"enableNetworkPolicy":"true"}\'\`',
        );
  } catch (error) {
    if (!isAbsent(error)) throw error;
    return warning("its VPC CNI is no add-on of EKS: whether it enforces network policies is not known");
  }
}

/** The version of the cluster's own KEDA, by kubectl. */
async function keda(config: Config): Promise<Finding[]> {
  if (config.cluster.install.keda) return [];
  const look = async (kubernetes: Kubernetes) => {
    const { items } = await kubernetes.get<Operator>("deployments", "--all-namespaces", "--selector", KEDA);
    return kedaFinding(items[0]?.metadata.labels["app.kubernetes.io/version"]);
  };
  return [await inCluster(config, look, `its KEDA must be ${LEAST_KEDA} or newer`)];
}

interface Operator {
  metadata: { labels: Record<string, string> };
}

/** What a version of KEDA means; undefined is none. */
export function kedaFinding(version: string | undefined): Finding {
  if (version === undefined)
    return missing("it has no KEDA (keda-operator): set `cluster.install.keda: true`");
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [leastMajor = 0, leastMinor = 0] = LEAST_KEDA.split(".").map(Number);
  if (major < leastMajor || (major === leastMajor && minor < leastMinor))
    return missing(`its KEDA is ${version}, which does not know all fields of the chart; ${LEAST_KEDA} does`);
  return version === KEDA_VERSION
    ? ok(`its KEDA is ${version}`)
    : warning(`its KEDA is ${version}; ${KEDA_VERSION} was tested`);
}

async function describe(config: Config, name: string): Promise<Cluster | undefined> {
  try {
    return (await new EKSClient(aws(config)).send(new DescribeClusterCommand({ name }))).cluster;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

function state(name: string, { status, version = "", accessConfig }: Cluster): Finding[] {
  const mode = accessConfig?.authenticationMode ?? "CONFIG_MAP";
  return [
    status === "ACTIVE" ? ok(`${name} is active`) : missing(`${name} is ${status}`),
    VERSIONS.includes(version)
      ? ok(`${name} runs Kubernetes ${version}`)
      : warning(`${name} runs Kubernetes ${version}; KEDA was tested on ${VERSIONS.join(", ")}`),
    MODES.includes(mode)
      ? ok(`its authentication mode is ${mode}`)
      : missing(
          `its authentication mode is ${mode}: ` +
            `\`aws eks update-cluster-config --name ${name} --access-config authenticationMode=API_AND_CONFIG_MAP\``,
        ),
  ];
}

/** Roles for service accounts trust the cluster's issuer, by way of the provider that IAM has of it. */
function identity({ cluster }: Config, name: string, { identity }: Cluster): Finding[] {
  if (cluster.identity !== "irsa") return [];
  const issuer = identity?.oidc?.issuer?.replace(/^https:\/\//, "");
  if (!issuer) return [missing(`${name} has no OIDC issuer, which \`identity: irsa\` needs`)];
  return cluster.oidcProvider?.endsWith(`:oidc-provider/${issuer}`)
    ? [ok(`its OIDC provider is ${cluster.oidcProvider}`)]
    : [missing(`its OIDC issuer is ${issuer}, cluster.oidcProvider is ${cluster.oidcProvider}`)];
}

/** The pods' network policy has addresses of one family only: of the other one it permits none. */
function family({ runtimes }: Config, { kubernetesNetworkConfig }: Cluster): Finding[] {
  const own = kubernetesNetworkConfig?.ipFamily ?? "ipv4";
  const policyOf = ({ values }: Runtime) =>
    (values as { networkPolicy?: { ipFamily?: string } }).networkPolicy?.ipFamily ?? "ipv4";
  return runtimes
    .filter((runtime) => policyOf(runtime) !== own)
    .map(({ name }) =>
      missing(`its pods have addresses of ${own}: set \`values.networkPolicy.ipFamily: ${own}\` of ${name}`),
    );
}

/** Subnets and security groups of the configuration belong to the cluster's VPC. */
async function parts({ region, cluster }: Config, { resourcesVpcConfig }: Cluster): Promise<Finding[]> {
  const vpc = resourcesVpcConfig?.vpcId;
  const ec2 = new EC2Client(aws({ region }));
  // Filters instead of ids: one that does not exist would make the whole question an error.
  const [{ Subnets }, { SecurityGroups }] = await Promise.all([
    ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "subnet-id", Values: cluster.subnets }] })),
    ec2.send(
      new DescribeSecurityGroupsCommand({ Filters: [{ Name: "group-id", Values: cluster.securityGroups }] }),
    ),
  ]);
  const vpcOf = new Map<string | undefined, string | undefined>([
    ...(Subnets ?? []).map(({ SubnetId, VpcId }) => [SubnetId, VpcId] as const),
    ...(SecurityGroups ?? []).map(({ GroupId, VpcId }) => [GroupId, VpcId] as const),
  ]);
  const wanted = [...(cluster.subnets ?? []), ...(cluster.securityGroups ?? [])];
  const absent = wanted.filter((id) => !vpcOf.has(id)).map((id) => missing(`${id} does not exist`));
  const elsewhere = wanted.filter((id) => vpcOf.has(id) && vpcOf.get(id) !== vpc);
  return [
    cluster.vpc === vpc
      ? ok(`its VPC is ${vpc}`)
      : missing(`its VPC is ${vpc}, the configuration says ${cluster.vpc}`),
    ...absent,
    ...elsewhere.map((id) => missing(`${id} is in ${vpcOf.get(id)}, not in the cluster's VPC`)),
  ];
}
