import { aws_iam as iam, aws_logs as logs, RemovalPolicy } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { ClusterConfig } from "../config/types.ts";
import { acknowledgeAwsPolicies } from "./acknowledged.ts";
import { addon } from "./addon.ts";
import { PodRole } from "./identity.ts";
import type { TargetCluster } from "./target.ts";

export interface ObservabilityProps {
  target: TargetCluster;
  identity: ClusterConfig["identity"];
  /** Whether the cluster's log groups are made here; an existing cluster may have them. */
  ownLogGroups: boolean;
}

const AGENT_POLICY = "CloudWatchAgentServerPolicy";

/** What the agents write: containers, kubelet and network, hosts, and the metrics themselves. */
const LOG_GROUPS = ["application", "dataplane", "host", "performance"];

/**
 * Logs of every container, Container Insights, and the GPUs' metrics by NVIDIA's DCGM exporter. Application
 * Signals stays off: it would put its Python agent into the runtimes.
 */
export class Observability extends Construct {
  constructor(scope: Construct, id: string, { target, identity, ownLogGroups }: ObservabilityProps) {
    super(scope, id);
    const agent = new PodRole(this, "Agent", {
      target,
      identity,
      account: { namespace: "amazon-cloudwatch", name: "cloudwatch-agent" },
      description: `CloudWatch agent and Fluent Bit on ${target.name}`,
    });
    agent.role.addManagedPolicy(iam.ManagedPolicy.fromAwsManagedPolicyName(AGENT_POLICY));
    acknowledgeAwsPolicies(
      agent,
      "What the add-on's documentation asks for, kept in step with the agent.",
      AGENT_POLICY,
    );

    const addOn = addon(this, "Addon", target, "amazon-cloudwatch-observability", {
      configuration: {
        agent: {
          config: {
            logs: {
              metrics_collected: {
                kubernetes: { enhanced_container_insights: true, accelerated_compute_metrics: true },
              },
            },
          },
        },
        containerLogs: { enabled: true },
        manager: { applicationSignals: { autoMonitor: { monitorAllServices: false } } },
      },
      ...agent.forAddon(),
    });
    addOn.node.addDependency(...target.ready, agent, agent.associate());
    if (ownLogGroups) addOn.node.addDependency(this.logGroups(target.name));
  }

  /** Fluent Bit makes these by itself where they are missing, and they never forget. */
  private logGroups(cluster: string): Construct {
    const groups = new Construct(this, "Logs");
    for (const kind of LOG_GROUPS) {
      new logs.LogGroup(groups, kind, {
        logGroupName: `/aws/containerinsights/${cluster}/${kind}`,
        retention: logs.RetentionDays.ONE_MONTH,
        removalPolicy: RemovalPolicy.DESTROY,
      });
    }
    return groups;
  }
}
