import { aws_eks_v2 as eks, aws_iam as iam, type aws_sqs as sqs, Duration } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { ClusterConfig } from "../config/types.ts";
import { PodRole } from "./identity.ts";
import type { TargetCluster } from "./target.ts";
import type { ThirdPartyCharts } from "./third-party-charts.ts";

export interface KedaProps {
  target: TargetCluster;
  identity: ClusterConfig["identity"];
  charts: ThirdPartyCharts;
  queues: sqs.IQueue[];
}

/** The chart's own name of its service account. */
const ACCOUNT = { namespace: "keda", name: "keda-operator" };

/**
 * KEDA, which scales the runtimes with their queues. The operator asks SQS itself: a pod identity cannot be
 * handed to it per ScaledObject (kedacore/keda#6418).
 */
export class Keda extends Construct {
  constructor(scope: Construct, id: string, { target, identity, charts, queues }: KedaProps) {
    super(scope, id);
    const identityOfOperator = new PodRole(this, "Operator", {
      target,
      identity,
      account: ACCOUNT,
      description: `KEDA on ${target.name}: the length of the queues`,
    });
    identityOfOperator.role.addToPolicy(seesQueues(queues));

    const release = new eks.HelmChart(this, "Release", {
      cluster: target.cluster,
      ...charts.keda(),
      release: "keda",
      namespace: ACCOUNT.namespace,
      wait: true,
      timeout: Duration.minutes(10),
      values: {
        global: { image: { registry: charts.imageRegistry() } },
        image: { pullPolicy: "IfNotPresent" },
        clusterName: target.name,
        serviceAccount: { operator: { name: ACCOUNT.name, annotations: identityOfOperator.annotations } },
        // The second one takes over when a system node goes; one alone is gone for as long as its pod takes
        // to move.
        operator: { replicaCount: 2 },
        podDisruptionBudget: { operator: { maxUnavailable: 1 } },
      },
    });
    // Credentials are put into pods as they start.
    release.node.addDependency(...target.ready, identityOfOperator.associate());
  }
}

/** All that KEDA's SQS scaler calls. */
export function seesQueues(queues: sqs.IQueue[]): iam.PolicyStatement {
  return new iam.PolicyStatement({
    actions: ["sqs:GetQueueAttributes"],
    resources: queues.map(({ queueArn }) => queueArn),
  });
}
