import { describe, expect, it, vi } from "vitest";

import { isComplete, type Nodes, onEvent } from "../../lib/cluster/gpu-nodes-gone/handler.mjs";
import { dependsOn, example, only, release, resources, statementsOf, synth, target } from "./support.ts";

describe("what GPU nodes need is deleted after them", () => {
  const { template } = synth(example("full"));
  const [gone, { Properties }] = only(template, "Custom::GpuNodesGone");
  const first = (type: string, properties: object = {}) => only(template, type, properties)[0];
  const workerRoles = resources(template, "AWS::IAM::Role").filter(([id]) => id.startsWith("Worker"));

  it.each(["sdruntime", "comfyui"])("the release of %s is deleted before the wait", (name) => {
    expect(dependsOn(template, release(template, name)[0], gone)).toBe(true);
  });

  it.each([
    ["Karpenter", release(template, "karpenter")[0]],
    ["KEDA", release(template, "keda")[0]],
    ["the S3 driver", first("AWS::EKS::Addon", { AddonName: "aws-mountpoint-s3-csi-driver" })],
    ["the network of pods", first("AWS::EKS::Addon", { AddonName: "vpc-cni" })],
    ["the nodes' access to the cluster", first("AWS::EKS::AccessEntry", { Type: "EC2_LINUX" })],
    ["the system nodes", first("AWS::EKS::Nodegroup")],
    ["kubectl", first("AWS::EKS::Cluster")],
    ["the way to the internet", first("AWS::EC2::NatGateway")],
    ...workerRoles.map(([id]): [string, string] => ["a worker's role", id]),
    ...resources(template, "AWS::EKS::PodIdentityAssociation").map(([id]): [string, string] => [
      "an association",
      id,
    ]),
  ])("%s after it", (_, id) => {
    expect(dependsOn(template, gone, id)).toBe(true);
  });

  it("the wait is for the nodes that releases tag, and for the role that is deleted with them", () => {
    expect(Properties.Deployment).toBe("studio");
    expect(Properties.NodePools).toEqual(["studio-sdruntime", "studio-comfyui"]);
    expect(Properties).not.toHaveProperty("AutoModeCluster");
    expect(target(Properties.NodeRole)).toMatch(/GpuNodesRole/);
    const [, handler] = only(template, "AWS::Lambda::Function", { Handler: "handler.isComplete" });
    const actions = statementsOf(template, target(handler.Properties.Role)).map(({ Action }) => Action);
    expect(actions).toEqual(["ec2:DescribeInstances", "iam:ListInstanceProfilesForRole"]);
  });

  it("the role of an existing cluster's nodes stays, and is not waited for", () => {
    const existing = synth(example("existing-cluster")).template;
    expect(only(existing, "Custom::GpuNodesGone")[1].Properties).not.toHaveProperty("NodeRole");
  });
});

describe("the wait", () => {
  vi.spyOn(console, "log").mockImplementation(() => {});

  const calls = (instances: string[], profiles: string[]) => ({
    instances: async ({ Deployment }: Nodes) => (Deployment === "studio" ? instances : []),
    instanceProfiles: async (role: string) => (role === "nodes" ? profiles : []),
  });
  const event = (RequestType: string, NodeRole?: string) => ({
    RequestType,
    ResourceProperties: { Deployment: "studio", NodePools: ["studio-a", "studio-b"], NodeRole },
  });

  it.each(["Create", "Update"])("is over at once on %s, without a call", async (type) => {
    const never = { instances: fail, instanceProfiles: fail };
    expect(await isComplete(event(type, "nodes"), never)).toEqual({ IsComplete: true });
  });

  it.each([
    [["i-1"], ["profile"], false],
    [["i-1"], [], false],
    [[], ["profile"], false],
    [[], [], true],
  ])("with %j and %j left is over: %s", async (instances, profiles, over) => {
    expect(await isComplete(event("Delete", "nodes"), calls(instances, profiles))).toEqual({
      IsComplete: over,
    });
  });

  it("says what is left before CloudFormation gives up without a reason", async () => {
    const { Since } = await onEvent();
    const minutes = (n: number) =>
      isComplete({ ...event("Delete", "nodes"), Since }, calls(["i-1"], ["profile"]), Since + n * 60_000);
    expect(await minutes(54)).toEqual({ IsComplete: false });
    await expect(minutes(56)).rejects.toThrow(
      /^i-1, profile: still there .* could not be uninstalled, then `kubectl delete nodepools studio-a studio-b` first$/,
    );
  });

  it("asks for no instance profiles of a role that stays", async () => {
    const without = { ...calls([], []), instanceProfiles: fail };
    expect(await isComplete(event("Delete"), without)).toEqual({ IsComplete: true });
  });
});

describe("what is asked of AWS", () => {
  class NoSuchEntityException extends Error {}
  class Call {
    constructor(readonly input: unknown) {}
  }
  const described: unknown[] = [];
  const profiles = vi.fn();
  const NodePools = ["studio-sdruntime"];
  const event = {
    RequestType: "Delete",
    ResourceProperties: { Deployment: "studio", NodePools, NodeRole: "nodes" },
  };

  // Lambda's runtime brings the SDK; here it is played.
  vi.doMock("@aws-sdk/client-ec2", () => ({
    EC2Client: class {},
    async *paginateDescribeInstances(_: unknown, input: unknown) {
      described.push(input);
      yield { Reservations: [{ Instances: [{ InstanceId: "i-1" }, { InstanceId: "i-2" }] }] };
      yield { Reservations: undefined };
    },
  }));
  vi.doMock("@aws-sdk/client-iam", () => ({
    IAMClient: class {
      send = profiles;
    },
    ListInstanceProfilesForRoleCommand: Call,
    NoSuchEntityException,
  }));

  const alive = {
    Name: "instance-state-name",
    Values: ["pending", "running", "shutting-down", "stopping", "stopped"],
  };

  it("is for Karpenter's instances with the deployment's name, terminated ones apart", async () => {
    profiles.mockResolvedValueOnce({ InstanceProfiles: [{ InstanceProfileName: "studio_1" }] });
    expect(await isComplete(event)).toEqual({ IsComplete: false });
    expect(described).toEqual([
      {
        Filters: [
          { Name: "tag:darkroom:deployment", Values: ["studio"] },
          { Name: "tag-key", Values: ["karpenter.sh/nodepool"] },
          alive,
        ],
      },
    ]);
    expect(profiles).toHaveBeenCalledWith(new Call({ RoleName: "nodes" }));
  });

  it("is for the pools' instances in EKS Auto Mode, which an account may hide", async () => {
    described.length = 0;
    profiles.mockResolvedValueOnce({ InstanceProfiles: [] });
    const ResourceProperties = { ...event.ResourceProperties, AutoModeCluster: "production" };
    expect(await isComplete({ ...event, ResourceProperties })).toEqual({ IsComplete: false });
    expect(described).toEqual([
      {
        Filters: [
          { Name: "tag:eks:eks-cluster-name", Values: ["production"] },
          { Name: "tag:eks:kubernetes-node-pool-name", Values: NodePools },
          alive,
        ],
        IncludeManagedResources: true,
      },
    ]);
  });

  it("a role that is gone already has no profiles, and any other error is one", async () => {
    profiles.mockRejectedValueOnce(new NoSuchEntityException());
    expect(await isComplete(event)).toEqual({ IsComplete: false });
    profiles.mockRejectedValueOnce(new Error("denied"));
    await expect(isComplete(event)).rejects.toThrow("denied");
  });
});

async function fail(): Promise<never> {
  throw new Error("nobody should have asked");
}
