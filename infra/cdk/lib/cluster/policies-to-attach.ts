import { aws_iam as iam, type aws_sqs as sqs, CfnOutput } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "../config/types.ts";
import { acknowledgeWildcards } from "./acknowledged.ts";
import { seesQueues } from "./keda.ts";
import { everyObject, readsModels } from "./models-driver.ts";

/**
 * What the KEDA and the S3 driver that an existing cluster brings have to be allowed. Their roles are not
 * ours to change: their owner attaches these policies, which the stack's outputs name.
 */
export class PoliciesToAttach extends Construct {
  constructor(scope: Construct, id: string, config: Config, queues: sqs.IQueue[]) {
    super(scope, id);
    acknowledgeWildcards(
      this,
      "Every object of the model bucket is a model.",
      everyObject(config.modelBucket),
    );
    const { install } = config.cluster;
    if (!install.keda)
      this.policy("ForKeda", "KEDA's operator: the length of the queues", [seesQueues(queues)]);
    if (!install.modelsDriver)
      this.policy("ForModelsDriver", "s3-csi-driver-sa: reads models", readsModels(config.modelBucket));
  }

  private policy(id: string, description: string, statements: iam.PolicyStatement[]): void {
    const policy = new iam.ManagedPolicy(this, id, { description, statements });
    new CfnOutput(this, `${id}Arn`, {
      description: `To attach to the role of ${description}`,
      value: policy.managedPolicyArn,
    });
  }
}
