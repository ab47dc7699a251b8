import { aws_ec2 as ec2, aws_eks_v2 as eks, aws_iam as iam, Validations } from "aws-cdk-lib";
import { Construct, type IDependable } from "constructs";

import type { Config } from "../config/types.ts";
import { acknowledgeProviders } from "./acknowledged.ts";
import { ALL_RIGHTS } from "./administrators.ts";
import { kubectlLayer } from "./kubectl-layer.ts";
import { podIdentityAgent } from "./system-addons.ts";
import type { TargetCluster } from "./target.ts";

/**
 * A cluster that was there before, by its name. Its API is called from its own subnets with the security
 * groups of its nodes, so that a private endpoint is reached the way nodes reach it; the subnets need a way
 * to the internet, or endpoints for EKS, STS, S3 and Lambda.
 */
export class ExistingCluster extends Construct implements TargetCluster {
  readonly cluster: eks.ICluster;
  readonly name: string;
  readonly subnetIds: string[];
  readonly securityGroupIds: string[];
  readonly ready: IDependable[];

  constructor(scope: Construct, id: string, { cluster: config }: Config) {
    super(scope, id);
    this.name = required(config.existing, "existing");
    this.subnetIds = required(config.subnets, "subnets");
    this.securityGroupIds = required(config.securityGroups, "securityGroups");
    const vpc = ec2.Vpc.fromVpcAttributes(this, "Vpc", {
      vpcId: required(config.vpc, "vpc"),
      // Their names are asked for, and stand in nothing that is made from this.
      availabilityZones: this.subnetIds.map((_, n) => `zone-${n}`),
      privateSubnetIds: this.subnetIds,
    });
    Validations.of(vpc).acknowledge({
      id: "Annotation::@aws-cdk/aws-ec2:noSubnetRouteTableId",
      reason: "Nothing here touches the routes of an existing cluster.",
    });
    // An imported cluster makes no kubectl function of its own, whatever its options say: so one for its name
    // goes first.
    const kubectl = new eks.KubectlProvider(this, "KubectlProvider", {
      cluster: eks.Cluster.fromClusterAttributes(this, "Named", { clusterName: this.name, vpc }),
      kubectlLayer: kubectlLayer(this, config.version),
      privateSubnets: vpc.privateSubnets,
      securityGroups: this.securityGroupIds.map((group, n) =>
        ec2.SecurityGroup.fromSecurityGroupId(this, `NodeSecurityGroup${n}`, group, { mutable: false }),
      ),
    });
    this.cluster = eks.Cluster.fromClusterAttributes(this, "Cluster", {
      clusterName: this.name,
      vpc,
      kubectlProvider: kubectl,
      openIdConnectProvider: config.oidcProvider
        ? iam.OpenIdConnectProvider.fromOpenIdConnectProviderArn(this, "OidcProvider", config.oidcProvider)
        : undefined,
    });
    acknowledgeProviders(kubectl);

    this.ready = [this.access()];
    if (config.install.podIdentityAgent) this.ready.push(podIdentityAgent(this, this));
  }

  /** Lets the kubectl function in, so that nobody has to make a role for it first. */
  private access(): eks.AccessEntry {
    return new eks.AccessEntry(this, "KubectlAccess", {
      cluster: this.cluster,
      principal: required(this.cluster.kubectlProvider?.role, "kubectl's role").roleArn,
      accessPolicies: [ALL_RIGHTS],
    });
  }
}

/** The rules of the configuration see to it; the types cannot know. */
function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new Error(`cluster.${field}: an existing cluster needs it`);
  return value;
}
