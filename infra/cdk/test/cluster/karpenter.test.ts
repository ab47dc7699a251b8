import { describe, expect, it } from "vitest";

import { example, type Json, only, release, resources, statementsOf, synth, target } from "./support.ts";

const { template } = synth(example("full"));
const [, association] = only(template, "AWS::EKS::PodIdentityAssociation", { ServiceAccount: "karpenter" });
const statements = statementsOf(template, target(association.Properties.RoleArn));
const statement = (sid: string) => statements.find(({ Sid }) => Sid === sid);
const actions = (sid: string) => [statement(sid)?.Action].flat();

describe("Karpenter's controller", () => {
  it("has the statements of its own template, less zonal shift, and the Spot role", () => {
    expect(statements.map(({ Sid }) => Sid).sort()).toEqual([
      "AllowAPIServerEndpointDiscovery",
      "AllowInstanceProfileReadActions",
      "AllowInterruptionQueueActions",
      "AllowPassingInstanceRole",
      "AllowPricingReadActions",
      "AllowRegionalReadActions",
      "AllowSSMReadActions",
      "AllowScopedDeletion",
      "AllowScopedEC2InstanceAccessActions",
      "AllowScopedEC2InstanceActionsWithTags",
      "AllowScopedEC2LaunchTemplateAccessActions",
      "AllowScopedInstanceProfileActions",
      "AllowScopedInstanceProfileCreationActions",
      "AllowScopedInstanceProfileTagActions",
      "AllowScopedResourceCreationTagging",
      "AllowScopedResourceTagging",
      "AllowSpotServiceLinkedRole",
      "AllowUnscopedInstanceProfileListAction",
    ]);
  });

  it("ends only what its cluster launched", () => {
    expect(actions("AllowScopedDeletion")).toEqual(["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"]);
    expect(statement("AllowScopedDeletion").Condition).toEqual({
      StringEquals: { "aws:ResourceTag/kubernetes.io/cluster/studio": "owned" },
      StringLike: { "aws:ResourceTag/karpenter.sh/nodepool": "*" },
    });
  });

  it("changes nothing that is not bound by tags or by name", () => {
    const unbound = statements.filter(
      ({ Resource, Condition }) => [Resource].flat().includes("*") && !Condition,
    );
    for (const { Action } of unbound) {
      for (const action of [Action].flat()) expect(action).toMatch(/:(Describe|Get|List)/);
    }
    expect(unbound).toHaveLength(2);
  });

  it("passes the GPU nodes' role, and no other", () => {
    const role = target(statement("AllowPassingInstanceRole").Resource);
    expect(role).toMatch(/GpuNodes/);
    const [, entry] = only(template, "AWS::EKS::AccessEntry", { Type: "EC2_LINUX" });
    expect(target(entry.Properties.PrincipalArn)).toBe(role);
  });

  it("stays within the 6,144 characters of a policy with the longest of names", () => {
    const longest = synth(
      example("existing-cluster", ({ cluster }) => {
        cluster.existing = "c".repeat(100);
        cluster.install.karpenter = true;
      }),
    ).template;
    const sizes = resources(longest, "AWS::IAM::ManagedPolicy", {
      Description: `Karpenter on ${"c".repeat(100)}: NodeLifecycle`,
    })
      .map(([, { Properties }]) => JSON.stringify(Properties.PolicyDocument))
      // A join is longer in the template than the ARN that it makes.
      .map(
        (text) =>
          text.replaceAll(/\{"Fn::Join":\["",\["arn:",\{"Ref":"AWS::Partition"\},("[^"]*")\]\]\}/g, "$1")
            .length,
      );
    expect(sizes).toHaveLength(1);
    expect(sizes[0]).toBeLessThan(6144 - 22 * "arn:aws-cn".length);
  });
});

describe("its interruption queue", () => {
  const [queueId, queue] = only(template, "AWS::SQS::Queue", { QueueName: "studio-interruptions" });

  it("receives every event that ends a node", () => {
    const rules = resources(template, "AWS::Events::Rule").map(([, { Properties }]) => Properties);
    expect(rules.map(({ EventPattern }) => EventPattern["detail-type"][0]).sort()).toEqual([
      "AWS Health Event",
      "EC2 Capacity Reservation Instance Interruption Warning",
      "EC2 Instance Rebalance Recommendation",
      "EC2 Instance State-change Notification",
      "EC2 Spot Instance Interruption Warning",
    ]);
    for (const { Targets } of rules) expect(target(Targets[0].Arn)).toBe(queueId);
    expect(queue.Properties).toMatchObject({ MessageRetentionPeriod: 300, SqsManagedSseEnabled: true });
  });

  it("is the one that Karpenter reads", () => {
    expect(target(statement("AllowInterruptionQueueActions").Resource)).toBe(queueId);
    const values = JSON.stringify(release(template, "karpenter")[1].Properties.Values);
    expect(values).toContain(`\\"interruptionQueue\\":\\"",{"Fn::GetAtt":["${queueId}","QueueName"]}`);
  });

  it("takes notices of its own rules only", () => {
    const [, { Properties }] = only(template, "AWS::SQS::QueuePolicy");
    const allowed = Properties.PolicyDocument.Statement.filter(({ Effect }: Json) => Effect === "Allow");
    expect(allowed).toHaveLength(5);
    for (const { Action, Principal, Condition } of allowed) {
      expect([Action].flat()).toEqual(expect.arrayContaining(["sqs:SendMessage"]));
      expect(Principal).toEqual({ Service: "events.amazonaws.com" });
      expect(Object.keys(Condition.ArnEquals)).toEqual(["aws:SourceArn"]);
    }
  });
});
