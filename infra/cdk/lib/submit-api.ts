import {
  Duration,
  Validations,
  aws_lambda as lambda,
  type aws_s3 as s3,
  type aws_sns as sns,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import { registry } from "./config/load.ts";
import type { Config } from "./config/types.ts";
import { SubmitRestApi } from "./rest-api.ts";
import { packageWith } from "./function-package.ts";
import { logicalId } from "./logical-id.ts";
import { nodeLists, withNodeLists } from "./node-lists.ts";
import { LARGE_TASKS } from "./reserved-keys.ts";
import { RustFunction } from "./rust-function.ts";

/** Storing up to 6 MB before publishing takes a second or two, and each is tried again when it fails. */
const WITH_CLAIM_CHECK = { timeout: Duration.seconds(10), publishMs: 8000 };
const WITHOUT = { timeout: Duration.seconds(5), publishMs: 2500 };

export interface SubmitApiProps {
  config: Config;
  /** The zip with the program. */
  zip: string;
  tasks: sns.ITopic;
  bucket: s3.Bucket;
}

/** What takes tasks over HTTP: the API and the function behind it. */
export class SubmitApi extends Construct {
  readonly function: RustFunction;
  readonly api: SubmitRestApi;

  constructor(scope: Construct, id: string, { config, zip, tasks, bucket }: SubmitApiProps) {
    super(scope, id);
    const { name, api, runtimes } = config;
    const claimCheck = runtimes.some((runtime) => runtime.claimCheck);
    const timeouts = claimCheck ? WITH_CLAIM_CHECK : WITHOUT;

    this.function = new RustFunction(this, "Function", {
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
      timeout: timeouts.timeout,
      environment: {
        SNS_TOPIC_ARN: tasks.topicArn,
        S3_OUTPUT_BUCKET: bucket.bucketName,
        RUNTIMES_FILE: "runtimes.json",
        MAX_MESSAGE_BYTES: String(api.messageBytes),
        PUBLISH_TIMEOUT_MS: String(timeouts.publishMs),
      },
      reservedConcurrentExecutions: api.concurrency === 0 ? undefined : api.concurrency,
    });
    this.function.may("sns:Publish", tasks.topicArn);
    if (claimCheck) this.allowClaimChecks(bucket);

    this.api = new SubmitRestApi(this, "Api", { config, function: this.function });
  }

  private allowClaimChecks(bucket: s3.Bucket): void {
    this.function.may("s3:PutObject", bucket.arnForObjects(LARGE_TASKS));
    Validations.of(this).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${logicalId(bucket)}.Arn>/${LARGE_TASKS}]`,
      reason: "Each task that is too large for a message is an object of its own.",
    });
  }
}
