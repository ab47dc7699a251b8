import { fileURLToPath } from "node:url";

import { aws_iam as iam, aws_lambda as lambda, aws_logs as logs, custom_resources as cr } from "aws-cdk-lib";
import { CustomResource, Duration, RemovalPolicy } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "../config/types.ts";
import { nodePools } from "../node-pools.ts";
import { architecture } from "../rust-function.ts";
import { acknowledgeProviders, acknowledgeWildcards } from "./acknowledged.ts";

const HANDLER = fileURLToPath(new URL("./gpu-nodes-gone", import.meta.url));

export interface GpuNodesGoneProps {
  /**
   * The deployment. Its nodes carry its name as the tag `darkroom:deployment`; in EKS Auto Mode, which may not tag them so
   * without further permissions, they are known by their pools.
   */
  config: Config;
  /** The role of its nodes, where it is deleted with the stack. */
  nodeRole?: iam.IRole;
}

/**
 * Stands between the runtimes' releases and all they need, so that no GPU node outlives the stack. To
 * uninstall a release takes seconds: it deletes the NodePool, and with it, as their owner, its NodeClaims.
 * These and the EC2NodeClass have finalizers that only a living Karpenter takes off, once pods are drained,
 * instances are terminated and the instance profile is deleted. So the deletion of this resource waits for
 * that, and Karpenter's release, the workers' and the nodes' roles and the network, on which it depends, are
 * deleted after it. EKS Auto Mode makes instance profiles, too, around the role of an existing cluster's nodes
 * (containers-roadmap#2531).
 */
export class GpuNodesGone extends Construct {
  constructor(scope: Construct, id: string, { config, nodeRole }: GpuNodesGoneProps) {
    super(scope, id);
    const isComplete = this.function("IsComplete", "isComplete", config);
    isComplete.addToRolePolicy(
      new iam.PolicyStatement({ actions: ["ec2:DescribeInstances"], resources: ["*"] }),
    );
    if (nodeRole) {
      isComplete.addToRolePolicy(
        new iam.PolicyStatement({
          actions: ["iam:ListInstanceProfilesForRole"],
          resources: [nodeRole.roleArn],
        }),
      );
    }
    const provider = new cr.Provider(this, "Provider", {
      onEventHandler: this.function("OnEvent", "onEvent", config),
      isCompleteHandler: isComplete,
      queryInterval: Duration.seconds(15),
      // CloudFormation waits for a custom resource no longer than this. A deletion that fails here goes on
      // when repeated.
      totalTimeout: Duration.hours(1),
      disableWaiterStateMachineLogging: true,
    });
    new CustomResource(this, "Resource", {
      resourceType: "Custom::GpuNodesGone",
      serviceToken: provider.serviceToken,
      properties: {
        Deployment: config.name,
        NodeRole: nodeRole?.roleName,
        NodePools: nodePools(config),
        AutoModeCluster: config.cluster.nodes === "auto" ? config.cluster.existing : undefined,
      },
    });
    acknowledgeWildcards(isComplete, "ec2:DescribeInstances takes no resources.", "*");
    acknowledgeProviders(this);
  }

  private function(id: string, handler: string, config: Config): lambda.Function {
    return new lambda.Function(this, id, {
      description: "Waits for the GPU nodes of a deployment to be gone, before what they need is deleted",
      runtime: lambda.determineLatestNodeRuntime(this),
      architecture: architecture(config),
      code: lambda.Code.fromAsset(HANDLER, { exclude: ["*.d.mts"] }),
      handler: `handler.${handler}`,
      memorySize: 256,
      timeout: Duration.seconds(30),
      logGroup: new logs.LogGroup(this, `${id}Logs`, {
        retention: logs.RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    });
  }
}
