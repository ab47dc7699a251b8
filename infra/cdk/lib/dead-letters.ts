import {
  Duration,
  Validations,
  type aws_dynamodb as dynamodb,
  aws_lambda as lambda,
  type aws_s3 as s3,
  type aws_sns as sns,
  type aws_sqs as sqs,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";
import { logicalId } from "./logical-id.ts";
import { functionMetrics } from "./metrics.ts";
import { RustFunction } from "./rust-function.ts";
import { tracingVariables } from "./tracing.ts";

export interface DeadLettersProps {
  config: Config;
  /** The zip with the program. */
  zip: string;
  /** The queues that it reads, by what they are called here. */
  queues: Record<string, sqs.IQueue>;
  bucket: s3.Bucket;
  /** The table with the records of tasks, if tasks are recorded. */
  records: dynamodb.Table | undefined;
  completions: sns.ITopic;
}

/** Gives tasks that died inside SQS or SNS the end that a worker would have given them. */
export class DeadLetters extends Construct {
  readonly function: RustFunction;

  constructor(scope: Construct, id: string, props: DeadLettersProps) {
    super(scope, id);
    const { config, zip, queues, bucket, records, completions } = props;

    this.function = new RustFunction(this, "Function", {
      config,
      functionName: `${config.name}-dead-letter`,
      description: "Ends tasks that died in a queue or on the way to one",
      code: lambda.Code.fromAsset(zip),
      memorySize: 128,
      // The queues hide a message for six times as long.
      timeout: Duration.seconds(30),
      environment: {
        S3_BUCKET: bucket.bucketName,
        SNS_TOPIC_ARN: completions.topicArn,
        URL_EXPIRY_SECONDS: String(config.results.urlSeconds),
        RUNTIME_TYPES: config.runtimes.map(({ name, type }) => `${name}=${type}`).join(","),
        ...(records && { RECORD_TABLE: records.tableName }),
        ...functionMetrics(config),
        ...tracingVariables(config),
      },
    });
    this.function.may(["s3:GetObject", "s3:PutObject"], bucket.arnForObjects("*"));
    // Without it S3 answers 403 for what is not there, and a missing `.out` could not be distinguished from a forbidden one.
    this.function.may("s3:ListBucket", bucket.bucketArn);
    if (records) this.function.may("dynamodb:UpdateItem", records.tableArn);
    this.function.may("sns:Publish", completions.topicArn);
    this.function.may(
      ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"],
      ...Object.values(queues).map((queue) => queue.queueArn),
    );
    Validations.of(this).acknowledge(
      {
        id: `AwsSolutions-IAM5[Resource::<${logicalId(bucket)}.Arn>/*]`,
        reason: "Callers choose the prefix under which a task's end is written.",
      },
      {
        id: "Serverless-LambdaEventSourceMappingDestination",
        reason: "Lambda has none for queues: what fails stays in the queue, and an alarm rises.",
      },
    );

    for (const [name, queue] of Object.entries(queues)) {
      new lambda.EventSourceMapping(this, name, {
        target: this.function,
        eventSourceArn: queue.queueArn,
        batchSize: 10,
        // Only the message that fails is received again.
        reportBatchItemFailures: true,
        // The least that Lambda takes. Dead letters are rare; after an outage they are many, and can wait in line.
        maxConcurrency: 2,
      });
    }
  }
}
