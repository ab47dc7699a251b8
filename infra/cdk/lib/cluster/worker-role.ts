import {
  type aws_dynamodb as dynamodb,
  aws_iam as iam,
  type aws_logs as logs,
  type aws_s3 as s3,
  type aws_sns as sns,
  type aws_sqs as sqs,
  Stack,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { ClusterConfig, Runtime } from "../config/types.ts";
import { LARGE_TASKS, UPLOADS } from "../reserved-keys.ts";
import { acknowledgeWildcards } from "./acknowledged.ts";
import { PodRole, type ServiceAccount } from "./identity.ts";
import { everyObject } from "./models-driver.ts";
import type { TargetCluster } from "./target.ts";

/** The parts of the reserved prefix that the front door writes: large tasks, and uploads by its presigned URLs. */
export const WRITTEN_BY_OTHERS = [LARGE_TASKS, UPLOADS];

export interface WorkerRoleProps {
  runtime: Runtime;
  target: TargetCluster;
  identity: ClusterConfig["identity"];
  account: ServiceAccount;
  /** The runtime's own queue. */
  queue: sqs.IQueue;
  bucket: s3.IBucket;
  /** The table with the records of tasks, if tasks are recorded. */
  records: dynamodb.ITable | undefined;
  completions: sns.ITopic;
  /** The log group that metrics are published through, if they are. */
  metrics: logs.ILogGroup | undefined;
  /** Whether spans are sent to X-Ray. */
  traces: boolean;
}

/**
 * What the workers of one runtime may do, and nothing else: each action and why is in the worker's README.
 */
export class WorkerRole extends Construct {
  readonly role: iam.Role;
  readonly annotations: Record<string, string>;

  constructor(scope: Construct, id: string, props: WorkerRoleProps) {
    super(scope, id);
    const { runtime } = props;
    const bucket = here(props.bucket);
    const everyResult = `${bucket}/*`;
    const pods = new PodRole(this, "Pods", {
      target: props.target,
      identity: props.identity,
      account: props.account,
      description: `Workers of ${runtime.name} on ${props.target.name}`,
    });
    this.role = pods.role;
    this.annotations = pods.annotations;
    pods.associate();

    this.allow(
      "WorksOnItsQueue",
      [props.queue.queueArn],
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:ChangeMessageVisibility",
    );
    this.allow("StoresResults", [everyResult], "s3:PutObject");
    // Reading presigns URLs, fetches tasks that were too large for a message and uploaded inputs, and detects what is
    // complete already.
    this.allow("ReadsResultsAndTasks", [everyResult], "s3:GetObject");
    // Without it S3 answers 403 for a missing object.
    this.allow("TellsMissingFromForbidden", [bucket], "s3:ListBucket");
    if (props.records) {
      this.allow("RecordsTasks", [props.records.tableArn], "dynamodb:GetItem", "dynamodb:UpdateItem");
    }
    this.allow("NotifiesOfResults", [props.completions.topicArn], "sns:Publish");
    if (props.metrics) {
      this.allow(
        "PublishesMetrics",
        [props.metrics.logGroupArn],
        "logs:CreateLogStream",
        "logs:PutLogEvents",
      );
    }
    if (props.traces) {
      this.allow("SendsTraces", ["*"], "xray:PutTraceSegments");
      acknowledgeWildcards(this, "X-Ray has no resources that a policy could name.", "*");
    }
    const inputs = runtime.inputs.buckets.map(everyObject);
    if (inputs.length > 0) this.allow("ReadsInputs", inputs, "s3:GetObject");
    this.role.addToPolicy(
      new iam.PolicyStatement({
        sid: "LeavesToOthersWhatIsTheirs",
        effect: iam.Effect.DENY,
        actions: ["s3:PutObject"],
        resources: WRITTEN_BY_OTHERS.map((keys) => `${bucket}/${keys}`),
      }),
    );
    acknowledgeWildcards(this, "Callers choose where in the bucket their results go.", everyResult);
    acknowledgeWildcards(
      this,
      "Callers name the inputs; which buckets may be read is configured.",
      ...inputs,
    );
  }

  private allow(sid: string, resources: string[], ...actions: string[]): void {
    this.role.addToPolicy(new iam.PolicyStatement({ sid, actions, resources }));
  }
}

/** The bucket's ARN as this stack imports it: what cdk-nag finds in a policy has to be named the same way. */
function here(bucket: s3.IBucket): string {
  return Stack.of(bucket).exportValue(bucket.bucketArn);
}
