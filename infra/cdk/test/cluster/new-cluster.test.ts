import { describe, expect, it } from "vitest";

import { all, dependsOn, example, only, resources, synth, target } from "./support.ts";

describe("a new cluster", () => {
  const { template, config } = synth(example("full"));
  const [clusterId, cluster] = only(template, "AWS::EKS::Cluster");

  it("is of the version that is asked for, with kubectl to match", () => {
    expect(cluster.Properties).toMatchObject({ Name: "studio", Version: "1.35" });
    const layers = resources(template, "AWS::Lambda::LayerVersion").map(
      ([, { Properties }]) => Properties.Description,
    );
    expect(layers.filter((text) => /1\.35/.test(text))).toHaveLength(1);
    const later = synth(example("minimal", ({ cluster }) => (cluster.version = "1.36"))).template;
    expect(only(later, "AWS::EKS::Cluster")[1].Properties.Version).toBe("1.36");
    expect(JSON.stringify(resources(later, "AWS::Lambda::LayerVersion"))).toContain("1.36");
  });

  it("does not set Auto Mode, which not every region supports", () => {
    expect(cluster.Properties).not.toHaveProperty("ComputeConfig");
    expect(cluster.Properties).not.toHaveProperty("StorageConfig");
    expect(cluster.Properties.KubernetesNetworkConfig).toEqual({ IpFamily: "ipv4" });
    expect(cluster.Properties.BootstrapSelfManagedAddons).toBe(false);
  });

  it("grants access by access entries only, and none to the deployer", () => {
    expect(cluster.Properties.AccessConfig).toEqual({
      AuthenticationMode: "API",
      BootstrapClusterCreatorAdminPermissions: false,
    });
    const admins = resources(template, "AWS::EKS::AccessEntry").filter(
      ([, { Properties }]) => !Properties.Type,
    );
    const principals = admins.map(([, { Properties }]) => Properties.PrincipalArn);
    const [kubectl, ...people] = principals.sort((a) => (typeof a === "string" ? 1 : -1));
    expect(target(kubectl)).toMatch(/KubectlProviderHandlerServiceRole/);
    expect(people).toEqual(config.cluster.administrators);
  });

  it("answers the networks that may call it", () => {
    expect(cluster.Properties.ResourcesVpcConfig).toMatchObject({
      EndpointPrivateAccess: true,
      EndpointPublicAccess: true,
      PublicAccessCidrs: ["203.0.113.0/24"],
    });
  });

  it("is private where none may", () => {
    const closed = synth(example("minimal", ({ cluster }) => (cluster.apiAccess = []))).template;
    const { ResourcesVpcConfig } = only(closed, "AWS::EKS::Cluster")[1].Properties;
    expect(ResourcesVpcConfig).toMatchObject({ EndpointPrivateAccess: true, EndpointPublicAccess: false });
    expect(ResourcesVpcConfig).not.toHaveProperty("PublicAccessCidrs");
  });

  it("keeps its logs for a month, not for ever", () => {
    for (const name of ["/aws/eks/studio/cluster", "/aws/containerinsights/studio/application"]) {
      const [id, group] = only(template, "AWS::Logs::LogGroup", { LogGroupName: name });
      expect(group.Properties.RetentionInDays).toBe(30);
      // EKS and Fluent Bit would make it, without an end, if it were not there first.
      const user = name.startsWith("/aws/eks")
        ? clusterId
        : only(template, "AWS::EKS::Addon", OBSERVABILITY)[0];
      expect(dependsOn(template, user, id)).toBe(true);
    }
  });
});

const OBSERVABILITY = { AddonName: "amazon-cloudwatch-observability" };

describe("its network", () => {
  const { template } = synth(example("full", ({ cluster }) => (cluster.zones = 4)));

  it("has a public and a private subnet in each zone, without asking an account for its zones", () => {
    const subnets = resources(template, "AWS::EC2::Subnet").map(([, { Properties }]) => Properties);
    expect(subnets).toHaveLength(8);
    const zones = new Set(subnets.map(({ AvailabilityZone }) => JSON.stringify(AvailabilityZone)));
    expect([...zones]).toEqual(
      [0, 1, 2, 3].map((n) => JSON.stringify({ "Fn::Select": [n, { "Fn::GetAZs": "" }] })),
    );
    expect(subnets.every(({ MapPublicIpOnLaunch }) => MapPublicIpOnLaunch === false)).toBe(true);
    expect(resources(template, "AWS::EC2::NatGateway")).toHaveLength(1);
  });

  it("reaches S3 and DynamoDB from every subnet without a NAT gateway", () => {
    const endpoints = resources(template, "AWS::EC2::VPCEndpoint").map(([, { Properties }]) => Properties);
    const services = endpoints.map(({ ServiceName }) => JSON.stringify(ServiceName)).sort();
    expect(services).toEqual([
      expect.stringMatching(/com\.amazonaws\.".*\.dynamodb"/),
      expect.stringMatching(/com\.amazonaws\.".*\.s3"/),
    ]);
    for (const { VpcEndpointType, RouteTableIds } of endpoints) {
      expect(VpcEndpointType).toBe("Gateway");
      expect(RouteTableIds).toHaveLength(8);
    }
  });

  it("is in the zones that are handed over, says which, and has no more NAT gateways than zones", () => {
    const few = synth(
      example("minimal", ({ cluster }) => (cluster.natGateways = 4)),
      ["us-west-2b", "us-west-2d"],
    ).template;
    const zones = resources(few, "AWS::EC2::Subnet").map(([, { Properties }]) => Properties.AvailabilityZone);
    expect(zones.sort()).toEqual(["us-west-2b", "us-west-2b", "us-west-2d", "us-west-2d"]);
    expect(few.toJSON()["Outputs"].Zones.Value).toBe("us-west-2b,us-west-2d");
    expect(resources(few, "AWS::EC2::NatGateway")).toHaveLength(2);
  });
});

describe("its system nodes", () => {
  it.each([
    ["m7g.large", "BOTTLEROCKET_ARM_64"],
    ["m7i.large", "BOTTLEROCKET_x86_64"],
  ])("%s run Bottlerocket for their processor", (instanceType, amiType) => {
    const { template } = synth(
      example("minimal", ({ cluster }) => (cluster.systemNodes = { instanceType, count: 3 })),
    );
    const [, group] = only(template, "AWS::EKS::Nodegroup");
    expect(group.Properties).toMatchObject({
      AmiType: amiType,
      InstanceTypes: [instanceType],
      ScalingConfig: { MinSize: 3, DesiredSize: 3, MaxSize: 4 },
    });
  });

  it("keep their role from pods, and their volumes encrypted", () => {
    const { template } = synth(example("minimal"));
    const { LaunchTemplateData } = only(template, "AWS::EC2::LaunchTemplate")[1].Properties;
    expect(LaunchTemplateData.MetadataOptions).toEqual({
      HttpTokens: "required",
      HttpPutResponseHopLimit: 1,
    });
    expect(LaunchTemplateData.BlockDeviceMappings.map(({ Ebs }: { Ebs: object }) => Ebs)).toEqual([
      expect.objectContaining({ Encrypted: true, VolumeType: "gp3" }),
      expect.objectContaining({ Encrypted: true, VolumeType: "gp3" }),
    ]);
    const [groupId] = only(template, "AWS::EKS::Nodegroup");
    const [templateId] = only(template, "AWS::EC2::LaunchTemplate");
    expect(dependsOn(template, groupId, templateId)).toBe(true);
  });
});

describe("its add-ons", () => {
  const { template, config } = synth(example("minimal"));
  const addons = resources(template, "AWS::EKS::Addon");
  const idOf = (name: string) => only(template, "AWS::EKS::Addon", { AddonName: name })[0];

  it("are these, each once", () => {
    expect(addons.map(([, { Properties }]) => Properties.AddonName).sort()).toEqual([
      "amazon-cloudwatch-observability",
      "aws-mountpoint-s3-csi-driver",
      "coredns",
      "eks-pod-identity-agent",
      "kube-proxy",
      "vpc-cni",
    ]);
  });

  it("enforce network policies", () => {
    const { AddonVersion, ConfigurationValues } = all(template)[idOf("vpc-cni")]?.Properties ?? {};
    expect(JSON.parse(ConfigurationValues)).toEqual({ enableNetworkPolicy: "true" });
    // What its agent applies differs from version to version.
    expect(AddonVersion).toBe(config.cluster.vpcCniVersion);
  });

  it("come in the order in which nodes need them", () => {
    const [nodes] = only(template, "AWS::EKS::Nodegroup");
    for (const name of ["vpc-cni", "kube-proxy", "eks-pod-identity-agent"]) {
      expect(dependsOn(template, nodes, idOf(name)), name).toBe(true);
    }
    for (const name of ["coredns", "aws-mountpoint-s3-csi-driver", "amazon-cloudwatch-observability"]) {
      expect(dependsOn(template, idOf(name), nodes), name).toBe(true);
    }
  });
});
