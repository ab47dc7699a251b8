// Preflight: whether an existing cluster has the EKS Auto Mode that the configuration asks for, and what that needs.

import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { expect, test } from "vitest";

import type { Config } from "../../lib/config/types.ts";
import { enforcement, launcher, nodeRole } from "../../operate/preflight/auto-mode.ts";
import { cluster } from "../../operate/preflight/cluster.ts";
import { aws } from "../../operate/support/aws.ts";
import { type Limits, withLimits } from "./support/account.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { withMoto } from "./support/moto.ts";
import { says } from "./support/says.ts";

withMoto();
const limits: Limits = { quotas: {}, unreserved: 1000 };
withLimits(limits);

function config(nodes: Config["cluster"]["nodes"], more: Partial<Config["cluster"]> = {}): Config {
  const whole = configuration();
  return { ...whole, cluster: { ...whole.cluster, existing: "production", nodes, ...more } };
}

const inAutoMode = (enabled: boolean) => ({ computeConfig: { enabled } });
const NO = "missing: production is not in EKS Auto Mode: enable it, or set `cluster.nodes: karpenter`";

test("EKS Auto Mode has to be enabled for `nodes: auto`, and is of no use to Karpenter", async () => {
  const of = (nodes: Config["cluster"]["nodes"], found: ReturnType<typeof inAutoMode> | object) =>
    says(async (each) => launcher(each, "production", found), config(nodes));
  expect(await of("auto", inAutoMode(true))).toEqual(["ok: production is in EKS Auto Mode"]);
  for (const found of [inAutoMode(false), {}]) {
    expect(await of("auto", found)).toEqual([NO]);
    expect(await of("karpenter", found)).toEqual([]);
  }
  expect(await of("karpenter", inAutoMode(true))).toEqual([
    expect.stringMatching(/^warning: production is in EKS Auto Mode, .*set `cluster\.nodes: auto`/),
  ]);
});

test("a role of nodes that is named needs its access entry", async () => {
  const found = { arn: `arn:aws:eks:us-west-2:${ACCOUNT}:cluster/production` };
  const of = (nodes: Config["cluster"]["nodes"], more: Partial<Config["cluster"]>) =>
    says((each) => nodeRole(each, "production", found), config(nodes, more));
  const named = { nodeRole: "AutoNodes" };
  expect(await of("auto", {})).toEqual([]);
  expect(await of("karpenter", named)).toEqual([]);
  for (const [accessEntries, expected] of [
    [{}, expect.stringMatching(/^warning: AutoNodes has no access entry \(looked up without a path\)\. /)],
    [{ AutoNodes: "EC2_LINUX" }, expect.stringMatching(/^warning: .* an access entry of type EC2_LINUX \(/)],
    [{ AutoNodes: "EC2" }, "ok: its nodes join with AutoNodes"],
  ] as const) {
    limits.accessEntries = accessEntries;
    expect(await of("auto", named)).toEqual([expected]);
  }
});

test("network policies are enforced where a ConfigMap says so", () => {
  expect(enforcement({ "enable-network-policy-controller": "true" }).verdict).toBe("ok");
  expect(enforcement({ "enable-network-policy-controller": "false" }).verdict).toBe("warning");
  expect(enforcement(undefined).detail).toContain("ConfigMap amazon-vpc-cni of kube-system");
});

test("a cluster is asked for its EKS Auto Mode, and not for the VPC CNI that it does without", async () => {
  const { Subnets = [] } = await new EC2Client(aws(configuration())).send(new DescribeSubnetsCommand({}));
  await new EKSClient(aws(configuration())).send(
    new CreateClusterCommand({
      name: "production",
      version: "1.35",
      roleArn: `arn:aws:iam::${ACCOUNT}:role/cluster`,
      resourcesVpcConfig: { subnetIds: Subnets.slice(0, 2).map(({ SubnetId }) => SubnetId ?? "") },
    }),
  );
  expect(await says(cluster, config("auto"))).toContain(NO);
  limits.cluster = inAutoMode(true);
  const found = await says(cluster, config("auto"));
  expect(found).toContain("ok: production is in EKS Auto Mode");
  expect(found).toContainEqual(
    expect.stringMatching(/^warning: its EKS Auto Mode enforces network policies only .* could not be asked/),
  );
  expect(found.filter((line) => line.includes("VPC CNI"))).toEqual([]);
});
