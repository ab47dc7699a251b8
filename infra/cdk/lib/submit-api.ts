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

import { registry } from "./config/load.ts";
import type { Config } from "./config/types.ts";
import { ComfyRestApi } from "./comfy-rest-api.ts";
import { packageWith } from "./function-package.ts";
import { logicalId } from "./logical-id.ts";
import { functionMetrics } from "./metrics.ts";
import { nodeLists, withNodeLists } from "./node-lists.ts";
import { LARGE_TASKS, UPLOADS } from "./reserved-keys.ts";
import { RustFunction } from "./rust-function.ts";
import { SubmitRestApi } from "./submit-rest-api.ts";
import { isTraced, TraceSampling, tracingVariables } from "./tracing.ts";
import { INDEXES } from "./task-records.ts";

/** Storing up to 6 MB before publishing takes a second or two, and each is tried again when it fails. */
const WITH_CLAIM_CHECK = { timeout: Duration.seconds(10), publishMs: 8000 };
const WITHOUT = { timeout: Duration.seconds(5), publishMs: 2500 };

/** As long as API Gateway waits for a function: `Prefer: wait` delays responses by up to 25 s. */
const WITH_RECORDS = Duration.seconds(29);

/** Days that an uploaded asset is promised to exist. */
const ASSET_DAYS = 14;

export interface SubmitApiProps {
  config: Config;
  /** The zip with the program. */
  zip: string;
  tasks: sns.ITopic;
  /** The queues of the runtimes, by their names. */
  queues: Record<string, sqs.IQueue>;
  bucket: s3.Bucket;
  /** The table with the records of tasks, if tasks are recorded. */
  records: dynamodb.Table | undefined;
}

/** What takes tasks over HTTP: the APIs and the function behind them. */
export class SubmitApi extends Construct {
  readonly function: RustFunction;
  readonly api: SubmitRestApi;
  /** Where a ComfyUI is deployed. */
  readonly comfy?: ComfyRestApi;

  constructor(scope: Construct, id: string, { config, zip, tasks, queues, bucket, records }: SubmitApiProps) {
    super(scope, id);
    const { name, api, runtimes } = config;
    const claimCheck = runtimes.some((runtime) => runtime.claimCheck);
    const comfy = runtimes.some(({ type }) => type === "comfyui");
    const timeouts = claimCheck ? WITH_CLAIM_CHECK : WITHOUT;

    this.function = new RustFunction(this, "Function", {
      config,
      functionName: `${name}-front-door`,
      description: "Checks tasks and publishes them",
      // The registry is always a file beside the program: a function's variables may have 4 KB together, and with one
      // way for few and for many runtimes there is only one to test.
      code: lambda.Code.fromAsset(
        packageWith(zip, {
          "runtimes.json": JSON.stringify(withNodeLists(config, registry(config)), null, 1),
          ...nodeLists(config),
        }),
      ),
      // The program needs 15 MB, and some 60 more for a body of 6 MB that is text, JSON and message at once. The rest
      // is speed: a function's share of a CPU grows with its memory, and TLS to SNS is most of a cold start.
      memorySize: 256,
      timeout: records ? WITH_RECORDS : timeouts.timeout,
      environment: {
        SNS_TOPIC_ARN: tasks.topicArn,
        S3_OUTPUT_BUCKET: bucket.bucketName,
        RUNTIMES_FILE: "runtimes.json",
        MAX_MESSAGE_BYTES: String(api.messageBytes),
        PUBLISH_TIMEOUT_MS: String(timeouts.publishMs),
        ...functionMetrics(config),
        ...tracingVariables(config),
        ...(records && {
          RECORD_TABLE: records.tableName,
          RECORD_DAYS: String(config.records.days),
          MAX_UNFINISHED_TASKS: String(config.records.maxUnfinishedTasks),
          URL_EXPIRY_SECONDS: String(config.results.urlSeconds),
          QUEUE_PREFIX: `${name}-`,
          ...(comfy && { ASSET_DAYS: String(assetDays(config)) }),
        }),
      },
      reservedConcurrentExecutions: api.concurrency === 0 ? undefined : api.concurrency,
    });
    this.function.may("sns:Publish", tasks.topicArn);
    if (claimCheck || (records && comfy)) this.allowStoredTasks(bucket);
    if (records) {
      this.allowRecords(records, bucket);
      // The backlog of each runtime.
      this.function.may("sqs:GetQueueAttributes", ...Object.values(queues).map(({ queueArn }) => queueArn));
    }

    this.api = new SubmitRestApi(this, "Api", { config, function: this.function });
    if (comfy) {
      this.comfy = new ComfyRestApi(this, "ComfyApi", {
        config,
        function: this.function,
        keys: this.api.keys,
      });
    }
    if (isTraced(config)) {
      const apis = { tasks: this.api, ...(this.comfy && { comfy: this.comfy }) };
      new TraceSampling(this, "TraceSampling", config, apis);
    }
  }

  /** Records, and presigned URLs of results and for inputs. */
  private allowRecords(records: dynamodb.Table, bucket: s3.Bucket): void {
    this.function.may(
      [
        "dynamodb:BatchGetItem",
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:UpdateItem",
      ],
      records.tableArn,
    );
    this.function.may(
      "dynamodb:Query",
      ...Object.keys(INDEXES).map((index) => `${records.tableArn}/index/${index}`),
    );
    this.function.may("s3:GetObject", bucket.arnForObjects("*"));
    this.function.may("s3:PutObject", bucket.arnForObjects(UPLOADS));
    Validations.of(this).acknowledge(
      {
        id: `AwsSolutions-IAM5[Resource::<${logicalId(bucket)}.Arn>/*]`,
        reason: "Callers choose where in the bucket their results go.",
      },
      {
        id: `AwsSolutions-IAM5[Resource::<${logicalId(bucket)}.Arn>/${UPLOADS}]`,
        reason: "Each uploaded input is an object of its own.",
      },
    );
  }

  /** Tasks that are too large for a message, and the workflows of Comfy API v2, which returns them. */
  private allowStoredTasks(bucket: s3.Bucket): void {
    this.function.may("s3:PutObject", bucket.arnForObjects(LARGE_TASKS));
    Validations.of(this).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${logicalId(bucket)}.Arn>/${LARGE_TASKS}]`,
      reason: "Each task that is stored is an object of its own.",
    });
  }
}

/** The bucket keeps an asset for longer than it is promised: two days, since S3 deletes at the midnight after. */
function assetDays({ results: { lifetimeDays } }: Config): number {
  return lifetimeDays === 0 ? ASSET_DAYS : Math.max(1, Math.min(ASSET_DAYS, lifetimeDays - 2));
}
