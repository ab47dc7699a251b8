import { aws_eks_v2 as eks, aws_iam as iam, Duration, Stack } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { ClusterConfig } from "../config/types.ts";
import { acknowledgeWildcards } from "./acknowledged.ts";
import { PodRole } from "./identity.ts";
import { Interruptions } from "./karpenter-interruptions.ts";
import { karpenterPolicies } from "./karpenter-policies.ts";
import type { TargetCluster } from "./target.ts";
import { KARPENTER_VERSION, type ThirdPartyCharts } from "./third-party-charts.ts";

export interface KarpenterProps {
  /** The name of the deployment. */
  deployment: string;
  target: TargetCluster;
  identity: ClusterConfig["identity"];
  charts: ThirdPartyCharts;
  /** The role of the nodes that it launches. */
  nodeRole: iam.IRole;
}

/** Where Karpenter's documents put it: with the priority of what the cluster cannot do without. */
const ACCOUNT = { namespace: "kube-system", name: "karpenter" };

/** Karpenter, which launches the GPU nodes that pods wait for and ends those that nobody needs. */
export class Karpenter extends Construct {
  constructor(scope: Construct, id: string, props: KarpenterProps) {
    super(scope, id);
    const { target, charts } = props;
    const interruptions = new Interruptions(this, "Interruptions", props.deployment);
    const controller = this.controller(props, interruptions.queue.queueArn);

    const definitions = new eks.HelmChart(this, "Definitions", {
      cluster: target.cluster,
      // Helm never upgrades definitions that come with a chart; as a release of their own they keep up with
      // it.
      ...charts.karpenter("karpenter-crd"),
      release: "karpenter-crd",
      namespace: ACCOUNT.namespace,
      createNamespace: false,
    });
    definitions.node.addDependency(...target.ready);

    const release = new eks.HelmChart(this, "Release", {
      cluster: target.cluster,
      ...charts.karpenter("karpenter"),
      release: "karpenter",
      namespace: ACCOUNT.namespace,
      createNamespace: false,
      wait: true,
      timeout: Duration.minutes(10),
      values: {
        serviceAccount: { name: ACCOUNT.name, annotations: controller.annotations },
        settings: { clusterName: target.name, interruptionQueue: interruptions.queue.queueName },
        controller: {
          ...mirroredImage(charts.imageRegistry()),
          // One hop keeps the metadata service from telling the region.
          env: [{ name: "AWS_REGION", value: Stack.of(this).region }],
          resources: { requests: { cpu: "250m", memory: "512Mi" }, limits: { memory: "1Gi" } },
        },
      },
    });
    // Credentials are put into pods as they start.
    release.node.addDependency(definitions, interruptions, controller, controller.associate());
  }

  private controller({ target, identity, nodeRole }: KarpenterProps, interruptionQueueArn: string): PodRole {
    const controller = new PodRole(this, "Controller", {
      target,
      identity,
      account: ACCOUNT,
      description: `Karpenter on ${target.name}: launches and ends nodes`,
    });
    const policies = karpenterPolicies(this, { cluster: target.name, nodeRole, interruptionQueueArn });
    for (const [name, statements] of Object.entries(policies)) {
      const policy = new iam.ManagedPolicy(controller, name, {
        description: `Karpenter on ${target.name}: ${name}`,
        statements,
        roles: [controller.role],
      });
      const wild = statements
        .flatMap(({ resources }) => resources)
        .filter((resource) => resource.includes("*"));
      const reason =
        "As in Karpenter's own template: what has no name beforehand is bound by the cluster's tags instead.";
      acknowledgeWildcards(policy, reason, ...new Set(wild));
    }
    return controller;
  }
}

/** A copy need not have the digest that the chart names: copying one platform of an image changes it. */
function mirroredImage(registry: string | undefined): object {
  if (!registry) return {};
  return { image: { repository: `${registry}/karpenter/controller`, tag: KARPENTER_VERSION, digest: "" } };
}
