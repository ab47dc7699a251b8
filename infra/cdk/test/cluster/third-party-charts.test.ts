import { describe, expect, it } from "vitest";

import { example, type Json, only, release, resources, statementsOf, synth, target } from "./support.ts";

const values = (resource: { Properties: Json }) => {
  const text = resource.Properties.Values;
  return JSON.parse(
    typeof text === "string"
      ? text
      : text["Fn::Join"][1].map((part: Json) => (typeof part === "string" ? part : "x")).join(""),
  );
};

describe("charts from their homes", () => {
  const { template } = synth(example("full"));

  it.each([
    ["keda", "https://kedacore.github.io/charts", "2.20.2"],
    ["karpenter", "oci://public.ecr.aws/karpenter/karpenter", "1.14.1"],
    ["karpenter-crd", "oci://public.ecr.aws/karpenter/karpenter-crd", "1.14.1"],
  ])("%s", (name, repository, version) => {
    const { Properties } = release(template, name)[1];
    expect(Properties).toMatchObject({ Chart: name, Repository: repository, Version: version });
    expect(JSON.stringify(Properties.Values ?? "")).not.toMatch(/registry|digest/);
  });
});

describe("charts from a mirror", () => {
  const { template } = synth(example("china"));
  const mirror = "111122223333.dkr.ecr.cn-northwest-1.amazonaws.com.cn/darkroom/charts";

  it("leave nothing to be fetched from elsewhere", () => {
    const repositories = resources(template, "Custom::AWSCDK-EKS-HelmChart")
      .map(([, { Properties }]) => Properties.Repository)
      .filter(Boolean);
    expect(repositories.sort()).toEqual([
      `oci://${mirror}/karpenter`,
      `oci://${mirror}/karpenter-crd`,
      `oci://${mirror}/keda`,
    ]);
  });

  it("run images from there", () => {
    expect(values(release(template, "keda")[1]).global).toEqual({ image: { registry: mirror } });
    expect(values(release(template, "karpenter")[1]).controller.image).toEqual({
      repository: `${mirror}/karpenter/controller`,
      tag: "1.14.1",
      digest: "",
    });
  });
});

describe("what is installed", () => {
  const { template } = synth(example("full"));
  const roleOf = (namespace: string, account: string) =>
    target(
      only(template, "AWS::EKS::PodIdentityAssociation", { Namespace: namespace, ServiceAccount: account })[1]
        .Properties.RoleArn,
    );

  it("KEDA sees the length of the queues, and nothing else", () => {
    expect(statementsOf(template, roleOf("keda", "keda-operator"))).toEqual([
      {
        Effect: "Allow",
        Action: "sqs:GetQueueAttributes",
        Resource: ["sdruntime", "comfyui"].map((name) => ({
          "Fn::Join": ["", ["arn:", { Ref: "AWS::Partition" }, `:sqs:us-west-2:111122223333:studio-${name}`]],
        })),
      },
    ]);
  });

  it("the S3 driver reads models, and writes nothing", () => {
    const { Properties } = only(template, "AWS::EKS::Addon", {
      AddonName: "aws-mountpoint-s3-csi-driver",
    })[1];
    const arn = (path: string) => ({
      "Fn::Join": ["", ["arn:", { Ref: "AWS::Partition" }, `:s3:::my-company-models${path}`]],
    });
    expect(statementsOf(template, roleOf("kube-system", "s3-csi-driver-sa"))).toEqual([
      { Effect: "Allow", Action: "s3:ListBucket", Resource: arn("") },
      { Effect: "Allow", Action: "s3:GetObject", Resource: arn("/*") },
    ]);
    expect(JSON.parse(Properties.ConfigurationValues)).toEqual({ node: { tolerateAllTaints: true } });
  });

  it("the CloudWatch agent has GPU metrics and logs on, and puts itself into no pod", () => {
    const { Properties } = only(template, "AWS::EKS::Addon", {
      AddonName: "amazon-cloudwatch-observability",
    })[1];
    const configuration = JSON.parse(Properties.ConfigurationValues);
    expect(configuration.agent.config).toEqual({
      logs: {
        metrics_collected: {
          kubernetes: { enhanced_container_insights: true, accelerated_compute_metrics: true },
        },
      },
    });
    expect(configuration.containerLogs.enabled).toBe(true);
    expect(configuration.manager.applicationSignals.autoMonitor.monitorAllServices).toBe(false);
  });

  it("without observability, there is none", () => {
    const bare = synth(example("minimal", ({ cluster }) => (cluster.install.observability = false))).template;
    expect(resources(bare, "AWS::EKS::Addon", { AddonName: "amazon-cloudwatch-observability" })).toEqual([]);
    expect(JSON.stringify(bare.toJSON())).not.toContain("containerinsights");
  });
});
