import { describe, expect, it } from "vitest";

import type { Config } from "../../lib/config/types.ts";
import { render, valuesOf } from "./helm.ts";
import {
  all,
  dependsOn,
  example,
  type Json,
  only,
  release,
  resources,
  statementsOf,
  synth,
  target,
} from "./support.ts";

const inAutoMode =
  (nodeRole?: string) =>
  ({ cluster }: Config) => {
    cluster.nodes = "auto";
    delete cluster.nodeRole;
    if (nodeRole) cluster.nodeRole = nodeRole;
  };

describe("an existing cluster in EKS Auto Mode", () => {
  const { template } = synth(example("existing-cluster", inAutoMode()));
  const [releaseId] = release(template, "comfyui");
  const values = valuesOf(all(template)[releaseId], "aws", "eu-central-1");
  const [accessId, access] = only(template, "AWS::EKS::AccessEntry", { Type: "EC2" });
  const roleId = target(access.Properties.PrincipalArn);

  it("lets in a role that its nodes get", () => {
    expect(access.Properties.ClusterName).toBe("production");
    expect(access.Properties.AccessPolicies).toHaveLength(1);
    expect(access.Properties.AccessPolicies[0].AccessScope).toEqual({ Type: "cluster" });
    expect(JSON.stringify(access.Properties.AccessPolicies[0].PolicyArn)).toContain(
      ":eks::aws:cluster-access-policy/AmazonEKSAutoNodePolicy",
    );
    const policies = JSON.stringify(all(template)[roleId]?.Properties.ManagedPolicyArns);
    expect(policies.match(/policy\/\w+/g)).toEqual([
      "policy/AmazonEKSWorkerNodeMinimalPolicy",
      "policy/AmazonEC2ContainerRegistryPullOnly",
    ]);
    expect(JSON.stringify(all(template)[releaseId]?.Properties.Values)).toContain(roleId);
    expect(dependsOn(template, releaseId, accessId)).toBe(true);
  });

  it("launches nodes by a node class of its own", () => {
    expect(values.nodes).toMatchObject({
      provider: "auto",
      clusterName: "production",
      subnets: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
      securityGroups: ["sg-0123456789abcdef0"],
      expireAfter: "504h",
      imageCache: { mode: "none" },
    });
    expect(values.nodes.tags).toBeUndefined();
    const { manifests } = render("comfyui", "darkroom", values);
    const kinds = manifests.map(({ kind }: Json) => kind);
    expect(kinds).toEqual(expect.arrayContaining(["NodeClass", "NodePool"]));
    expect(kinds).not.toContain("EC2NodeClass");
  });

  it("keeps its network policies as they are, and gets no cluster and no Karpenter", () => {
    for (const type of [
      "AWS::EKS::Cluster",
      "AWS::EKS::Nodegroup",
      "AWS::SQS::Queue",
      "AWS::Events::Rule",
      "Custom::AWSCDK-EKS-KubernetesResource",
    ])
      expect(resources(template, type)).toEqual([]);
  });

  it("gets no Karpenter either where `install.karpenter` has its default", () => {
    const whole = synth(
      example("existing-cluster", (config) => {
        inAutoMode()(config);
        const { install } = config.cluster;
        install.karpenter = install.keda = install.observability = install.podIdentityAgent = true;
      }),
    ).template;
    const releases = resources(whole, "Custom::AWSCDK-EKS-HelmChart").map(
      ([, { Properties }]) => Properties.Release,
    );
    expect(releases.sort()).toEqual(["comfyui", "keda"]);
    const addons = resources(whole, "AWS::EKS::Addon").map(([, { Properties }]) => Properties.AddonName);
    expect(addons.sort()).toEqual([
      "amazon-cloudwatch-observability",
      "aws-mountpoint-s3-csi-driver",
      "eks-pod-identity-agent",
    ]);
    for (const type of ["AWS::SQS::Queue", "AWS::Events::Rule"]) expect(resources(whole, type)).toEqual([]);
  });

  it("waits for the nodes before it deletes their role and their way in", () => {
    const [goneId, { Properties }] = only(template, "Custom::GpuNodesGone");
    expect(Properties).toMatchObject({ NodePools: ["darkroom-comfyui"], AutoModeCluster: "production" });
    expect(target(Properties.NodeRole)).toBe(roleId);
    expect(dependsOn(template, releaseId, goneId)).toBe(true);
    for (const id of [roleId, accessId]) expect(dependsOn(template, goneId, id)).toBe(true);
    const [, handler] = only(template, "AWS::Lambda::Function", { Handler: "handler.isComplete" });
    const actions = statementsOf(template, target(handler.Properties.Role)).map(({ Action }) => Action);
    expect(actions).toEqual(["ec2:DescribeInstances", "iam:ListInstanceProfilesForRole"]);
  });
});

describe("an existing cluster in EKS Auto Mode with a role of nodes", () => {
  const { template } = synth(example("existing-cluster", inAutoMode("AutoNodes")));

  it("launches nodes with it, and leaves it alone", () => {
    const [releaseId] = release(template, "comfyui");
    expect(valuesOf(all(template)[releaseId], "aws", "eu-central-1").nodes.role).toBe("AutoNodes");
    expect(resources(template, "AWS::EKS::AccessEntry", { Type: "EC2" })).toEqual([]);
    expect(only(template, "Custom::GpuNodesGone")[1].Properties).not.toHaveProperty("NodeRole");
  });
});
