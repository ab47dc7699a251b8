import {
  type CfnResource,
  Duration,
  RemovalPolicy,
  Stack,
  Validations,
  aws_logs as logs,
  aws_s3 as s3,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";
import { RESERVED_PREFIX } from "./reserved-keys.ts";

/**
 * Days that Darkroom's own objects live: tasks too large for a message, journals of attempts, failed and unreadable
 * tasks. A message, dead or alive, is gone 14 days after it was sent, so nothing refers to what is gone, and whoever
 * looks at a failed task has two weeks to send it again, the part that was too large included.
 */
const RESERVED_DAYS = 30;

/** Where images and `.out` files go. */
export class Results extends Construct {
  readonly bucket: s3.Bucket;

  constructor(scope: Construct, id: string, { config }: { config: Config }) {
    super(scope, id);
    const { bucket, lifetimeDays, keepOnDestroy } = config.results;

    this.bucket = new s3.Bucket(this, "Bucket", {
      bucketName: bucket,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      encryption: s3.BucketEncryption.S3_MANAGED,
      enforceSSL: true,
      minimumTLSVersion: 1.2,
      removalPolicy: keepOnDestroy ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      autoDeleteObjects: !keepOnDestroy,
      // The web console stores inputs by presigned URLs, which contain the permission; no cookies are involved.
      cors: [
        {
          allowedOrigins: ["*"],
          allowedMethods: [s3.HttpMethods.PUT],
          allowedHeaders: ["content-type"],
          maxAge: 3600,
        },
      ],
      lifecycleRules: [
        { id: "darkroom", prefix: RESERVED_PREFIX, expiration: Duration.days(RESERVED_DAYS) },
        // No prefix: callers choose theirs, and S3 knows no "all but". So it holds for `_darkroom/` too, where the
        // shorter of both lifetimes wins; the rules of the configuration see to it that no task outwaits its content.
        ...(lifetimeDays > 0 ? [{ id: "results", expiration: Duration.days(lifetimeDays) }] : []),
        // Workers finish theirs within minutes. What a killed one leaves would be billed unseen.
        { id: "unfinished-uploads", abortIncompleteMultipartUploadAfter: Duration.days(1) },
      ],
    });
    Validations.of(this.bucket).acknowledge({
      id: "AwsSolutions-S1",
      reason:
        "Who reads results is told by CloudTrail's data events where it is wanted; a log bucket costs on every read.",
    });
    if (!keepOnDestroy) this.ownLogs(config.name);
  }

  /** What empties the bucket at its end is CDK's; left alone, its log would outlive the stack, and for ever. */
  private ownLogs(deployment: string): void {
    const logGroup = new logs.LogGroup(this, "EmptyingLogs", {
      logGroupName: `/aws/lambda/${deployment}-empty-results`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const provider = Stack.of(this).node.findChild("Custom::S3AutoDeleteObjectsCustomResourceProvider");
    const handler = provider.node.findChild("Handler") as CfnResource;
    handler.addPropertyOverride("LoggingConfig.LogGroup", logGroup.logGroupName);
  }
}
