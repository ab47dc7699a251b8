import { type Duration, Validations, aws_iam as iam, type aws_sns as sns, aws_sqs as sqs } from "aws-cdk-lib";
import type { Construct } from "constructs";

/** The largest message that SQS takes, in bytes (SQS quotas). SNS adds its envelope to what it delivers. */
const LARGEST_MESSAGE = 1_048_576;

export interface PrivateQueueProps {
  queueName: string;
  /** How long a message that nobody deletes is kept; SQS takes up to 14 days. */
  retentionPeriod: Duration;
  /** How long a message that was received stays hidden. */
  visibilityTimeout?: Duration;
  deadLetterQueue?: sqs.DeadLetterQueue;
  redriveAllowPolicy?: sqs.RedriveAllowPolicy;
}

/**
 * A queue that is encrypted and reached over TLS only. The key is SQS's own (SSE-SQS): SNS may not use a key managed by
 * KMS whose policy nobody can edit, and a key of our own would have to be opened to SNS, Lambda and every worker.
 */
export class PrivateQueue extends sqs.Queue {
  constructor(scope: Construct, id: string, props: PrivateQueueProps) {
    super(scope, id, {
      ...props,
      encryption: sqs.QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      maxMessageSizeBytes: LARGEST_MESSAGE,
    });
  }

  /** Lets SNS put in what that topic sends. */
  admit(topic: sns.ITopic): void {
    this.addToResourcePolicy(
      new iam.PolicyStatement({
        principals: [new iam.ServicePrincipal("sns.amazonaws.com")],
        actions: ["sqs:SendMessage"],
        resources: [this.queueArn],
        conditions: { ArnEquals: { "aws:SourceArn": topic.topicArn } },
      }),
    );
  }

  /** Records why this queue has no dead-letter queue. */
  endsHere(reason: string): void {
    const rules = ["AwsSolutions-SQS3", "Serverless-SQSRedrivePolicy"];
    Validations.of(this).acknowledge(...rules.map((id) => ({ id, reason })));
  }
}
