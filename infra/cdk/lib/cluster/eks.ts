import {
  aws_ec2 as ec2,
  aws_eks_v2 as eks,
  aws_logs as logs,
  RemovalPolicy,
  Stack,
  Validations,
} from "aws-cdk-lib";
import { Construct, type IDependable } from "constructs";

import type { ClusterConfig, Config } from "../config/types.ts";
import { acknowledgeProviders } from "./acknowledged.ts";
import { AutoMode } from "./auto-mode.ts";
import { kubectlLayer } from "./kubectl-layer.ts";
import { Network } from "./network.ts";
import { SystemAddons } from "./system-addons.ts";
import { SystemNodes } from "./system-nodes.ts";
import type { TargetCluster } from "./target.ts";

/**
 * A new cluster, with its network and what every cluster needs: by EKS Auto Mode, or system nodes and add-ons of its own.
 */
export class NewCluster extends Construct implements TargetCluster {
  readonly cluster: eks.Cluster;
  readonly name: string;
  readonly subnetIds: string[];
  readonly securityGroupIds: string[];
  readonly nodeRoleName?: string;
  readonly ready: IDependable[];

  constructor(scope: Construct, id: string, { name, cluster: config }: Config) {
    super(scope, id);
    this.name = name;
    // With IRSA, the provider is a resource of CloudFormation's own instead of a function of CDK's.
    this.node.setContext("@aws-cdk/aws-eks:useNativeOidcProvider", true);
    const zones = Stack.of(this).availabilityZones.length;
    const { vpc } = new Network(this, "Network", { zones, natGateways: config.natGateways });

    // EKS would make this group by itself and keep it for ever.
    const controlPlaneLogs = new logs.LogGroup(this, "ControlPlaneLogs", {
      logGroupName: `/aws/eks/${name}/cluster`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });

    const auto = config.nodes === "auto" ? new AutoMode(this, "AutoMode", name) : undefined;
    this.cluster = new eks.Cluster(this, "Cluster", {
      clusterName: name,
      version: eks.KubernetesVersion.of(config.version),
      vpc,
      vpcSubnets: [{ subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS }],
      endpointAccess: endpointAccess(config.apiAccess),
      ...(auto?.properties ?? {
        // Nodes, and what runs on them, are declared here.
        defaultCapacityType: eks.DefaultCapacityType.NODEGROUP,
        defaultCapacity: 0,
      }),
      bootstrapSelfManagedAddons: false,
      // Deploying alone does not make an administrator. `aws eks create-access-entry` makes one.
      bootstrapClusterCreatorAdminPermissions: false,
      clusterLogging: [eks.ClusterLoggingTypes.AUTHENTICATOR],
      kubectlProviderOptions: { kubectlLayer: kubectlLayer(this, config.version) },
    });
    this.cluster.node.addDependency(controlPlaneLogs);
    acknowledge(this.cluster);

    this.subnetIds = vpc.privateSubnets.map(({ subnetId }) => subnetId);
    this.securityGroupIds = [this.cluster.clusterSecurityGroupId];
    if (auto) this.nodeRoleName = auto.role.roleName;
    this.ready = [auto ? auto.networkPolicies(this.cluster) : this.ownNodes(config)];
  }

  /** Nodes for everything but the runtimes, and their add-ons. Names are served last, on nodes that have everything else. */
  private ownNodes({ systemNodes, vpcCniVersion }: ClusterConfig): Construct {
    const { name, cluster } = this;
    withoutAutoMode(cluster);
    const { group } = new SystemNodes(this, "SystemNodes", { name, cluster, nodes: systemNodes });
    return new SystemAddons(this, "Addons", { target: this, nodes: group, vpcCniVersion });
  }
}

function endpointAccess(networks: string[]): eks.EndpointAccess {
  return networks.length === 0
    ? eks.EndpointAccess.PRIVATE
    : eks.EndpointAccess.PUBLIC_AND_PRIVATE.onlyFrom(...networks);
}

/** Not to say a word of Auto Mode is to have none of it, also in regions that do not know its fields. */
function withoutAutoMode(cluster: eks.Cluster): void {
  const resource = cluster.node.defaultChild as eks.CfnCluster;
  for (const field of ["ComputeConfig", "StorageConfig", "KubernetesNetworkConfig.ElasticLoadBalancing"]) {
    resource.addPropertyDeletionOverride(field);
  }
}

function acknowledge(cluster: eks.Cluster): void {
  Validations.of(cluster).acknowledge(
    {
      id: "AwsSolutions-EKS1",
      reason:
        "Who may reach the API is `cluster.apiAccess`; empty makes it private. A caller needs IAM besides.",
    },
    {
      id: "AwsSolutions-EKS2",
      reason:
        "Who came in is logged. The audit log alone, with Karpenter and KEDA, is of the order of 1 GB a day.",
    },
  );
  acknowledgeProviders(cluster);
}
