import { aws_iam as iam } from "aws-cdk-lib";
import type { Construct } from "constructs";

import { acknowledgeAwsPolicies } from "./acknowledged.ts";

/**
 * What a node needs: to join, to give pods addresses, to pull images (EKS user guide, "Amazon EKS node IAM
 * role"), and to be looked into by Session Manager, which Bottlerocket's control container serves.
 */
const POLICIES = [
  "AmazonEKSWorkerNodePolicy",
  "AmazonEKS_CNI_Policy",
  "AmazonEC2ContainerRegistryPullOnly",
  "AmazonSSMManagedInstanceCore",
];

/**
 * The role of nodes. It has nothing of ours: what pods may do is theirs, and nodes let no pod have the
 * node's.
 */
export function nodeRole(scope: Construct, id: string, description: string, policies = POLICIES): iam.Role {
  const role = new iam.Role(scope, id, {
    assumedBy: new iam.ServicePrincipal("ec2.amazonaws.com"),
    description,
    managedPolicies: policies.map((name) => iam.ManagedPolicy.fromAwsManagedPolicyName(name)),
  });
  acknowledgeAwsPolicies(role, "AWS keeps what a node of EKS needs in step with EKS.", ...policies);
  return role;
}
