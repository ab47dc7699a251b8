// How pods get AWS credentials: the one place that distinguishes Pod Identity from IAM roles for service accounts
// (IRSA).

import { aws_eks_v2 as eks, aws_iam as iam, CfnJson } from "aws-cdk-lib";
import { Construct, type IDependable } from "constructs";

import type { ClusterConfig } from "../config/types.ts";
import type { TargetCluster } from "./target.ts";

/** The service account that a role is for, and nobody else. */
export interface ServiceAccount {
  namespace: string;
  name: string;
}

export interface PodRoleProps {
  target: TargetCluster;
  identity: ClusterConfig["identity"];
  account: ServiceAccount;
  description: string;
}

/** A role that the pods of one service account may assume, and only they. */
export class PodRole extends Construct {
  readonly role: iam.Role;
  /** What the service account has to carry. */
  readonly annotations: Record<string, string>;

  private readonly props: PodRoleProps;

  constructor(scope: Construct, id: string, props: PodRoleProps) {
    super(scope, id);
    this.props = props;
    const byPodIdentity = props.identity === "pod-identity";
    this.role = new iam.Role(this, "Role", {
      description: props.description,
      assumedBy: byPodIdentity ? podIdentityTrust(props) : irsaTrust(this, props),
    });
    this.annotations = byPodIdentity ? {} : { "eks.amazonaws.com/role-arn": this.role.roleArn };
  }

  /** Gives the role to the service account. What is returned must be there before its pods start. */
  associate(): IDependable {
    const { target, identity, account } = this.props;
    if (identity === "irsa") return this.role;
    return new eks.CfnPodIdentityAssociation(this, "Association", {
      clusterName: target.cluster.clusterName,
      namespace: account.namespace,
      serviceAccount: account.name,
      roleArn: this.role.roleArn,
    });
  }

  /**
   * What an EKS add-on needs beside `associate`. The association is not the add-on's own: not every add-on takes one
   * (containers-roadmap#2712).
   */
  forAddon(): Pick<eks.CfnAddonProps, "serviceAccountRoleArn"> {
    return this.props.identity === "irsa" ? { serviceAccountRoleArn: this.role.roleArn } : {};
  }
}

/**
 * The session tags say which service account of which cluster asks (EKS user guide, "List of session tags").
 */
function podIdentityTrust({ target, account }: PodRoleProps): iam.IPrincipal {
  return new iam.ServicePrincipal("pods.eks.amazonaws.com", {
    conditions: {
      StringEquals: {
        "aws:RequestTag/eks-cluster-name": target.name,
        "aws:RequestTag/kubernetes-namespace": account.namespace,
        "aws:RequestTag/kubernetes-service-account": account.name,
      },
    },
  }).withSessionTags();
}

/** The keys have the issuer in them, which is only known during a deployment: hence `CfnJson`. */
function irsaTrust(scope: Construct, { target, account }: PodRoleProps): iam.IPrincipal {
  const provider = target.cluster.openIdConnectProvider;
  const issuer = provider.openIdConnectProviderIssuer;
  const StringEquals = new CfnJson(scope, "Trust", {
    value: {
      [`${issuer}:aud`]: "sts.amazonaws.com",
      [`${issuer}:sub`]: `system:serviceaccount:${account.namespace}:${account.name}`,
    },
  });
  return new iam.OpenIdConnectPrincipal(provider, { StringEquals });
}
