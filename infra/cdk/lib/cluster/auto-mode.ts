import { aws_eks_v2 as eks, type aws_iam as iam } from "aws-cdk-lib";
import { Construct } from "constructs";

import { nodeRole } from "./node-role.ts";
import type { TargetCluster } from "./target.ts";

/** What nodes of Auto Mode need (EKS user guide, "Amazon EKS Auto Mode node IAM role"): EKS does the rest. */
const POLICIES = ["AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"];

/** What lets nodes of Auto Mode join (EKS user guide, "Review access policy permissions"). */
const JOIN = eks.AccessPolicy.fromAccessPolicyName("AmazonEKSAutoNodePolicy", {
  accessScopeType: eks.AccessScopeType.CLUSTER,
});

/**
 * What a new cluster with EKS Auto Mode has of its own: the role of its nodes, and a built-in pool for everything but the
 * runtimes. EKS lets the role in as the cluster is made.
 */
export class AutoMode extends Construct {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, name: string) {
    super(scope, id);
    this.role = nodeRole(this, "Role", `Nodes of ${name}`, POLICIES);
  }

  /** How the cluster is made. */
  get properties(): Pick<eks.ClusterProps, "defaultCapacityType" | "compute"> {
    return {
      defaultCapacityType: eks.DefaultCapacityType.AUTOMODE,
      compute: { nodePools: ["general-purpose"], nodeRole: this.role },
    };
  }

  /** Network policies are enforced once this is there (EKS user guide, "Use Network Policies with EKS Auto Mode"). */
  networkPolicies(cluster: eks.Cluster): Construct {
    return new eks.KubernetesManifest(this, "NetworkPolicies", {
      cluster,
      manifest: [
        {
          apiVersion: "v1",
          kind: "ConfigMap",
          metadata: { name: "amazon-vpc-cni", namespace: "kube-system" },
          data: { "enable-network-policy-controller": "true" },
        },
      ],
    });
  }
}

/**
 * The role of the nodes that the EKS Auto Mode of an existing cluster launches for runtimes, and their way in. The cluster's own
 * role of nodes is not used: a cluster without built-in pools has none.
 */
export class AutoModeNodeRole extends Construct {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, target: TargetCluster) {
    super(scope, id);
    this.role = nodeRole(this, "Role", `GPU nodes of ${target.name}`, POLICIES);
    new eks.AccessEntry(this, "Access", {
      cluster: target.cluster,
      principal: this.role.roleArn,
      accessEntryType: eks.AccessEntryType.EC2,
      accessPolicies: [JOIN],
    });
  }
}
