import { aws_eks_v2 as eks, type aws_iam as iam } from "aws-cdk-lib";
import { Construct } from "constructs";

import { nodeRole } from "./node-role.ts";
import type { TargetCluster } from "./target.ts";

/** The role of the nodes that Karpenter launches, and their way into the cluster. */
export class GpuNodeRole extends Construct {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, target: TargetCluster) {
    super(scope, id);
    this.role = nodeRole(this, "Role", `GPU nodes of ${target.name}`);
    // This type of entry carries its permissions itself, and takes no policies.
    new eks.AccessEntry(this, "Access", {
      cluster: target.cluster,
      principal: this.role.roleArn,
      accessEntryType: eks.AccessEntryType.EC2_LINUX,
      accessPolicies: [],
    });
  }
}
