import { aws_eks_v2 as eks } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { TargetCluster } from "./target.ts";

/** What `kubectl` may do with it: everything, in the whole cluster. */
export const ALL_RIGHTS = eks.AccessPolicy.fromAccessPolicyName("AmazonEKSClusterAdminPolicy", {
  accessScopeType: eks.AccessScopeType.CLUSTER,
});

/** The people and roles that operate the cluster by `kubectl`. */
export class Administrators extends Construct {
  constructor(scope: Construct, id: string, { cluster }: TargetCluster, principals: string[]) {
    super(scope, id);
    principals.forEach((principal, n) => {
      new eks.AccessEntry(this, `Entry${n}`, { cluster, principal, accessPolicies: [ALL_RIGHTS] });
    });
  }
}
