import { describe, expect, it } from "vitest";

import { render, valuesOf } from "./helm.ts";
import { all, dependsOn, example, type Json, only, release, resources, synth, target } from "./support.ts";

describe("EKS Auto Mode", () => {
  const { template } = synth(example("auto-mode"));
  const [clusterId, cluster] = only(template, "AWS::EKS::Cluster");
  const [releaseId] = release(template, "sdruntime");
  const values = valuesOf(all(template)[releaseId], "aws", "us-west-2");

  it("is on, with a built-in pool for everything but the runtimes", () => {
    expect(cluster.Properties).toMatchObject({
      ComputeConfig: { Enabled: true, NodePools: ["general-purpose"] },
      StorageConfig: { BlockStorage: { Enabled: true } },
      KubernetesNetworkConfig: { ElasticLoadBalancing: { Enabled: true } },
      BootstrapSelfManagedAddons: false,
    });
    expect(resources(template, "AWS::EKS::Nodegroup")).toEqual([]);
  });

  it("brings what other clusters install: Karpenter, its queue, and the system's add-ons", () => {
    const releases = resources(template, "Custom::AWSCDK-EKS-HelmChart").map(
      ([, { Properties }]) => Properties.Release,
    );
    expect(releases.sort()).toEqual(["keda", "sdruntime"]);
    const addons = resources(template, "AWS::EKS::Addon").map(([, { Properties }]) => Properties.AddonName);
    expect(addons.sort()).toEqual(["amazon-cloudwatch-observability", "aws-mountpoint-s3-csi-driver"]);
    expect(resources(template, "AWS::Events::Rule")).toEqual([]);
    expect(resources(template, "Custom::GpuNodesGone")).toEqual([]);
  });

  it("enforces network policies before a runtime starts", () => {
    const [id, { Properties }] = only(template, "Custom::AWSCDK-EKS-KubernetesResource");
    expect(JSON.parse(Properties.Manifest)).toEqual([
      expect.objectContaining({
        metadata: expect.objectContaining({ name: "amazon-vpc-cni", namespace: "kube-system" }),
        data: { "enable-network-policy-controller": "true" },
      }),
    ]);
    expect(dependsOn(template, releaseId, id)).toBe(true);
  });

  it("has one role of all nodes, which the runtimes' node classes use", () => {
    const role = target(cluster.Properties.ComputeConfig.NodeRoleArn);
    const policies = JSON.stringify(all(template)[role]?.Properties.ManagedPolicyArns);
    expect(policies.match(/policy\/\w+/g)).toEqual([
      "policy/AmazonEKSWorkerNodeMinimalPolicy",
      "policy/AmazonEC2ContainerRegistryPullOnly",
    ]);
    expect(JSON.stringify(all(template)[releaseId]?.Properties.Values)).toContain(role);
    expect(dependsOn(template, releaseId, clusterId)).toBe(true);
  });

  it("launches nodes by its own node class, without what it does not take", () => {
    expect(values.nodes).toMatchObject({
      provider: "auto",
      expireAfter: "504h",
      imageCache: { mode: "none" },
    });
    expect(values.nodes.tags).toBeUndefined();
    const { manifests } = render("sdruntime", "darkroom", values);
    const kinds = manifests.map(({ kind }: Json) => kind);
    expect(kinds).toContain("NodeClass");
    expect(kinds).not.toContain("EC2NodeClass");
  });
});
