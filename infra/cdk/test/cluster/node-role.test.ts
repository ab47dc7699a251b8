import { describe, expect, it } from "vitest";

import { all, example, only, release, statementsOf, synth, target } from "./support.ts";

describe("the role of nodes", () => {
  const { template } = synth(example("minimal"));
  const [, entry] = only(template, "AWS::EKS::AccessEntry", { Type: "EC2_LINUX" });
  const [, system] = only(template, "AWS::EKS::Nodegroup");

  it.each([
    ["GPU nodes", target(entry.Properties.PrincipalArn)],
    ["system nodes", target(system.Properties.NodeRole)],
  ])("lets %s join and pull images, and Session Manager look into them, and nothing else", (_, role) => {
    const { AssumeRolePolicyDocument, ManagedPolicyArns } = all(template)[role]?.Properties ?? {};
    expect(AssumeRolePolicyDocument.Statement[0].Principal).toEqual({ Service: "ec2.amazonaws.com" });
    expect(JSON.stringify(ManagedPolicyArns).match(/policy\/\w+/g)).toEqual([
      "policy/AmazonEKSWorkerNodePolicy",
      "policy/AmazonEKS_CNI_Policy",
      "policy/AmazonEC2ContainerRegistryPullOnly",
      "policy/AmazonSSMManagedInstanceCore",
    ]);
    expect(statementsOf(template, role)).toEqual([]);
  });

  it("of GPU nodes is the one that Karpenter launches them with", () => {
    const values = all(template)[release(template, "sdruntime")[0]]?.Properties.Values;
    expect(JSON.stringify(values)).toContain(`{"Ref":"${target(entry.Properties.PrincipalArn)}"}`);
  });
});
