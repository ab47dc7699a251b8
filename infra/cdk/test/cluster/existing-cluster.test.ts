import { describe, expect, it } from "vitest";

import type { Config } from "../../lib/config/types.ts";
import { valuesOf } from "./helm.ts";
import { all, dependsOn, example, only, release, resources, statementsOf, synth, target } from "./support.ts";

describe("an existing cluster", () => {
  const { template } = synth(example("existing-cluster"));
  const types = new Set(Object.values(all(template)).map(({ Type }) => Type));

  it("gets nothing of what makes a cluster", () => {
    for (const type of ["Cluster", "Nodegroup"]) expect(types).not.toContain(`AWS::EKS::${type}`);
    for (const type of ["VPC", "Subnet", "NatGateway", "VPCEndpoint", "LaunchTemplate"]) {
      expect(types).not.toContain(`AWS::EC2::${type}`);
    }
  });

  it("gets only what is to be installed", () => {
    const addons = resources(template, "AWS::EKS::Addon").map(([, { Properties }]) => Properties.AddonName);
    expect(addons).toEqual(["aws-mountpoint-s3-csi-driver"]);
    const releases = resources(template, "Custom::AWSCDK-EKS-HelmChart").map(
      ([, { Properties }]) => Properties.Release,
    );
    expect(releases).toEqual(["comfyui"]);
    for (const type of ["AWS::SQS::Queue", "AWS::Events::Rule"]) expect(types).not.toContain(type);
  });

  it("lets kubectl in by an access entry, before anything is applied", () => {
    const [entryId, entry] = only(template, "AWS::EKS::AccessEntry");
    expect(entry.Properties.ClusterName).toBe("production");
    expect(JSON.stringify(entry.Properties.AccessPolicies)).toContain(
      "cluster-access-policy/AmazonEKSClusterAdminPolicy",
    );
    const [releaseId, { Properties }] = release(template, "comfyui");
    expect(Properties.ClusterName).toBe("production");
    expect(dependsOn(template, releaseId, entryId)).toBe(true);

    const handler = target(entry.Properties.PrincipalArn);
    expect(
      only(template, "AWS::Lambda::Function", { Role: { "Fn::GetAtt": [handler, "Arn"] } })[1].Properties,
    ).toMatchObject({
      VpcConfig: {
        SubnetIds: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
        SecurityGroupIds: ["sg-0123456789abcdef0"],
      },
    });
  });

  it("launches nodes with what it has", () => {
    const [id] = release(template, "comfyui");
    expect(valuesOf(all(template)[id], "aws", "eu-central-1").nodes).toMatchObject({
      clusterName: "production",
      role: "KarpenterNodeRole-production",
      subnets: ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"],
      securityGroups: ["sg-0123456789abcdef0"],
      tags: { "darkroom:deployment": "darkroom" },
    });
  });

  it("outputs the permissions that its own KEDA needs", () => {
    const [id, policy] = only(template, "AWS::IAM::ManagedPolicy");
    expect(policy.Properties.PolicyDocument.Statement).toEqual([
      expect.objectContaining({ Effect: "Allow", Action: "sqs:GetQueueAttributes" }),
    ]);
    expect(Object.values(template.toJSON()["Outputs"])).toContainEqual(
      expect.objectContaining({ Value: { Ref: id } }),
    );
  });
});

const everything = (config: Config) => {
  config.cluster.install = {
    keda: true,
    karpenter: true,
    modelsDriver: true,
    observability: true,
    podIdentityAgent: true,
  };
  delete config.cluster.nodeRole;
};

describe("an existing cluster that has nothing", () => {
  const { template } = synth(example("existing-cluster", everything));

  it("gets everything, with roles of ours", () => {
    const addons = resources(template, "AWS::EKS::Addon").map(([, { Properties }]) => Properties.AddonName);
    expect(addons.sort()).toEqual([
      "amazon-cloudwatch-observability",
      "aws-mountpoint-s3-csi-driver",
      "eks-pod-identity-agent",
    ]);
    for (const name of ["keda", "karpenter", "karpenter-crd", "comfyui"]) release(template, name);
    const [, association] = only(template, "AWS::EKS::PodIdentityAssociation", {
      ServiceAccount: "karpenter",
    });
    expect(statementsOf(template, target(association.Properties.RoleArn)).length).toBeGreaterThan(10);
    template.resourceCountIs("AWS::IAM::ManagedPolicy", 3);
  });

  it("keeps its own log groups, and gets one for the metrics of workers", () => {
    const names = resources(template, "AWS::Logs::LogGroup").map(
      ([, { Properties }]) => Properties?.LogGroupName,
    );
    expect(names.filter(Boolean)).toEqual(["/darkroom/darkroom/metrics"]);
  });
});

describe("an existing cluster whose S3 driver is its own", () => {
  it("outputs the permissions that the driver needs, too", () => {
    const { template } = synth(
      example("existing-cluster", ({ cluster }) => (cluster.install.modelsDriver = false)),
    );
    const said = Object.values(template.toJSON()["Outputs"]).map(
      (output) => (output as { Description: string }).Description,
    );
    expect(said).toEqual([
      expect.stringContaining("KEDA's operator"),
      expect.stringContaining("s3-csi-driver-sa"),
    ]);
  });
});
