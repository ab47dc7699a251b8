import type { aws_eks_v2 as eks } from "aws-cdk-lib";
import type { IDependable } from "constructs";

/** A cluster that Darkroom is installed into, whether it is made here or was there before. */
export interface TargetCluster {
  readonly cluster: eks.ICluster;
  /**
   * Its name as it stands in the configuration: IAM conditions have it in their keys, where no token may
   * stand.
   */
  readonly name: string;
  /** The private subnets that GPU nodes are launched into. */
  readonly subnetIds: string[];
  /** What GPU nodes carry, so that they reach the control plane and each other. */
  readonly securityGroupIds: string[];
  /** The name of the role of GPU nodes, where the cluster has one for all nodes. */
  readonly nodeRoleName?: string;
  /** What must be there before a pod may run, and outlive the last one. */
  readonly ready: IDependable[];
}
