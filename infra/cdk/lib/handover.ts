import type { aws_dynamodb as dynamodb, aws_s3 as s3, aws_sns as sns, aws_sqs as sqs } from "aws-cdk-lib";

/** What the cluster's stack takes over from the service's: what workers work with. */
export interface ServiceHandover {
  /** The queue of each runtime, by its name. */
  queues: Record<string, sqs.IQueue>;
  /** Where results go. */
  bucket: s3.IBucket;
  /** The table with the records of tasks, if tasks are recorded. */
  records: dynamodb.ITable | undefined;
  /** The topic that results are published to. */
  completions: sns.ITopic;
}
