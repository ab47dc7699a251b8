import {
  Duration,
  RemovalPolicy,
  Stack,
  Validations,
  aws_iam as iam,
  aws_kms as kms,
  aws_sns as sns,
  aws_sns_subscriptions as subscriptions,
} from "aws-cdk-lib";
import type { Construct } from "constructs";

export interface AlarmTopicProps {
  topicName: string;
  email: string;
}

/**
 * Where alarms go. CloudWatch publishes as a service, not as somebody of the account: it may not use the key that AWS
 * manages for SNS, so the topic has a key of its own, and both say that it may.
 */
export class AlarmTopic extends sns.Topic {
  constructor(scope: Construct, id: string, { topicName, email }: AlarmTopicProps) {
    const key = new kms.Key(scope, `${id}Key`, {
      description: `Encrypts what ${topicName} carries`,
      enableKeyRotation: true,
      removalPolicy: RemovalPolicy.DESTROY,
      pendingWindow: Duration.days(7),
    });
    super(scope, id, { topicName, masterKey: key, enforceSSL: true });

    const cloudwatch = new iam.ServicePrincipal("cloudwatch.amazonaws.com");
    const conditions = { StringEquals: { "aws:SourceAccount": Stack.of(this).account } };
    key.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [cloudwatch],
        actions: ["kms:Decrypt", "kms:GenerateDataKey*"],
        resources: ["*"],
        conditions,
      }),
    );
    this.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [cloudwatch],
        actions: ["sns:Publish"],
        resources: [this.topicArn],
        conditions,
      }),
    );
    this.addSubscription(new subscriptions.EmailSubscription(email));
    Validations.of(this).acknowledge({
      id: "Serverless-SNSRedrivePolicy",
      reason:
        "An alarm that no mail server takes is still on CloudWatch's console; there is nobody else to tell.",
    });
  }
}
