// The model bucket, as it is made when there is none. One that exists is taken as it is.

import {
  CreateBucketCommand,
  PutBucketEncryptionCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketTaggingCommand,
  PutPublicAccessBlockCommand,
  type BucketLocationConstraint,
  type S3Client,
} from "@aws-sdk/client-s3";

import type { Config } from "../../lib/config/types.ts";
import { say } from "../support/console.ts";

/**
 * Private, encrypted, reached over TLS only, and without versions: models are large, and their source keeps
 * them.
 */
export async function makeBucket(client: S3Client, config: Config): Promise<void> {
  const { modelBucket: Bucket, region, tags, name } = config;
  // us-east-1 is what S3 assumes, and refuses as a constraint.
  const LocationConstraint = region === "us-east-1" ? undefined : (region as BucketLocationConstraint);
  const CreateBucketConfiguration = LocationConstraint && { LocationConstraint };
  await client.send(
    new CreateBucketCommand({ Bucket, CreateBucketConfiguration, ObjectOwnership: "BucketOwnerEnforced" }),
  );
  await client.send(
    new PutPublicAccessBlockCommand({
      Bucket,
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
    }),
  );
  await client.send(
    new PutBucketEncryptionCommand({
      Bucket,
      ServerSideEncryptionConfiguration: {
        Rules: [{ ApplyServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
      },
    }),
  );
  await client.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify(tlsOnly(config)) }));
  await client.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket,
      LifecycleConfiguration: {
        // What an upload that was cut off leaves is invisible, and billed.
        Rules: [
          {
            ID: "unfinished-uploads",
            Status: "Enabled",
            Filter: { Prefix: "" },
            AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
          },
        ],
      },
    }),
  );
  const TagSet = Object.entries({ ...tags, "darkroom:deployment": name }).map(([Key, Value]) => ({
    Key,
    Value,
  }));
  await client.send(new PutBucketTaggingCommand({ Bucket, Tagging: { TagSet } }));
  say(`made the bucket ${Bucket} in ${region}`);
}

function tlsOnly({ partition, modelBucket }: Config) {
  const arn = `arn:${partition}:s3:::${modelBucket}`;
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: [arn, `${arn}/*`],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ],
  };
}
