import { describe, expect, it } from "vitest";

import { valuesOf } from "./helm.ts";
import { all, dependsOn, example, only, type Json, release, resources, synth, target } from "./support.ts";

/** Which service account each role is for, by its trust policy. */
const ACCOUNTS = [
  ["keda", "keda-operator"],
  ["kube-system", "karpenter"],
  ["kube-system", "s3-csi-driver-sa"],
  ["amazon-cloudwatch", "cloudwatch-agent"],
  ["darkroom", "sdruntime"],
] as const;

describe("Pod Identity", () => {
  const { template } = synth(example("minimal"));
  const trusts = resources(template, "AWS::IAM::Role")
    .map(([, { Properties }]) => Properties.AssumeRolePolicyDocument.Statement as Json[])
    .filter(([{ Principal }]) => Principal.Service === "pods.eks.amazonaws.com");

  it("lets each role be assumed for one service account of one cluster", () => {
    const conditions = ACCOUNTS.map(([namespace, name]) => ({
      StringEquals: {
        "aws:RequestTag/eks-cluster-name": "darkroom",
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": name,
      },
    }));
    const found = trusts.flat();
    for (const { Action } of found) expect(Action).toEqual(["sts:AssumeRole", "sts:TagSession"]);
    expect(found.map(({ Condition }) => Condition)).toHaveLength(conditions.length);
    expect(found.map(({ Condition }) => Condition)).toEqual(expect.arrayContaining(conditions));
  });

  it("gives the workers' role to the service account that their release runs under", () => {
    const [id, { Properties }] = release(template, "sdruntime");
    const { serviceAccount } = valuesOf(all(template)[id], "aws", "us-west-2");
    const [, association] = only(template, "AWS::EKS::PodIdentityAssociation", {
      ServiceAccount: serviceAccount.name,
    });
    expect(association.Properties.Namespace).toBe(Properties.Namespace);
    expect(target(association.Properties.RoleArn)).toMatch(/^Worker/);
    expect(serviceAccount.annotations).toEqual({});
  });

  it.each([
    ["keda", "keda", "keda-operator"],
    ["karpenter", "kube-system", "karpenter"],
  ])("of %s is there before its pods", (name, namespace, account) => {
    const [id, { Properties }] = release(template, name);
    expect(Properties.Namespace).toBe(namespace);
    const [association] = only(template, "AWS::EKS::PodIdentityAssociation", {
      Namespace: namespace,
      ServiceAccount: account,
    });
    expect(dependsOn(template, id, association)).toBe(true);
    expect(JSON.stringify(Properties.Values)).toContain(`"name\\":\\"${account}\\"`);
  });

  it.each([
    ["aws-mountpoint-s3-csi-driver", "s3-csi-driver-sa"],
    ["amazon-cloudwatch-observability", "cloudwatch-agent"],
  ])("of %s is there before the add-on, which does not take one of its own everywhere", (addon, account) => {
    const [id, { Properties }] = only(template, "AWS::EKS::Addon", { AddonName: addon });
    expect(Properties).not.toHaveProperty("PodIdentityAssociations");
    expect(Properties).not.toHaveProperty("ServiceAccountRoleArn");
    const [association] = only(template, "AWS::EKS::PodIdentityAssociation", { ServiceAccount: account });
    expect(dependsOn(template, id, association)).toBe(true);
  });
});

describe("IRSA", () => {
  const { template } = synth(example("minimal", ({ cluster }) => (cluster.identity = "irsa")));

  it("associates nothing", () => {
    template.resourceCountIs("AWS::EKS::PodIdentityAssociation", 0);
    expect(JSON.stringify(template.toJSON())).not.toContain("PodIdentityAssociations");
  });

  it("trusts the tokens of one service account each", () => {
    template.resourceCountIs("AWS::IAM::OIDCProvider", 1);
    const subjects = resources(template, "Custom::AWSCDKCfnJson").map(
      ([, { Properties }]) => /system:serviceaccount:([a-z0-9:-]+)/.exec(JSON.stringify(Properties))?.[1],
    );
    expect(subjects.sort()).toEqual(ACCOUNTS.map((account) => account.join(":")).sort());
  });

  it("names the role on the service account", () => {
    const [id] = release(template, "sdruntime");
    const { serviceAccount } = valuesOf(all(template)[id], "aws", "us-west-2");
    expect(serviceAccount.annotations).toEqual({
      "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/worker",
    });
    const { Properties } = only(template, "AWS::EKS::Addon", {
      AddonName: "aws-mountpoint-s3-csi-driver",
    })[1];
    expect(target(Properties.ServiceAccountRoleArn)).toMatch(/ModelsDriverReaderRole/);
  });
});
