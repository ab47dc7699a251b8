// Whether a results bucket of a given name can be made: one that outlived an earlier deployment is in the way.

import { S3Client } from "@aws-sdk/client-s3";

import { s3 } from "../support/aws.ts";
import { serviceStack, Stacks } from "../support/stacks.ts";
import { type Check, missing, ok } from "./finding.ts";
import { bucketRegion } from "./models.ts";

export const results: Check = async (config) => {
  const { bucket } = config.results;
  if (bucket === undefined) return [ok("CloudFormation names the bucket")];
  if (await Stacks.of(config).find(serviceStack(config))) return [ok(`${bucket} belongs to the deployment`)];
  const client = new S3Client({ ...s3(config), followRegionRedirects: true });
  if ((await bucketRegion(client, bucket)) === undefined) return [ok(`${bucket} is free`)];
  return [
    missing(
      `the bucket ${bucket} exists, and a stack makes only new ones: choose another \`results.bucket\`, leave the name out, or empty and delete it`,
    ),
  ];
};
