// The models in their bucket.

import { HeadBucketCommand, HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";

import { servedModels } from "../../lib/config/served-models.ts";
import type { Config } from "../../lib/config/types.ts";
import { isAbsent, s3 } from "../support/aws.ts";
import { bytes } from "../support/console.ts";
import { type Check, type Finding, missing, ok } from "./finding.ts";

export const models: Check = async (config) => {
  const client = new S3Client({ ...s3(config), followRegionRedirects: true });
  const region = await bucketRegion(client, config.modelBucket);
  if (region === undefined) {
    return [
      missing(
        `the bucket ${config.modelBucket} does not exist: \`infra/operate upload-models FOLDER\` makes it`,
      ),
    ];
  }
  const wanted = [...new Set(config.runtimes.flatMap(servedModels))];
  return [
    region === config.region
      ? ok(`the bucket ${config.modelBucket} is in ${region}`)
      : missing(
          `the bucket ${config.modelBucket} is in ${region}: nodes in ${config.region} must not read across regions`,
        ),
    ...(await Promise.all(wanted.map((model) => present(client, config, model)))),
  ];
};

/** Where a bucket is, or nothing if there is none. */
export async function bucketRegion(client: S3Client, Bucket: string): Promise<string | undefined> {
  try {
    return (await client.send(new HeadBucketCommand({ Bucket }))).BucketRegion;
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

async function present(client: S3Client, { modelBucket }: Config, model: string): Promise<Finding> {
  const Key = `Stable-diffusion/${model}`;
  try {
    const { ContentLength = 0 } = await client.send(new HeadObjectCommand({ Bucket: modelBucket, Key }));
    return ContentLength > 0 ? ok(`${Key} (${bytes(ContentLength)})`) : missing(`${Key} is empty`);
  } catch (error) {
    if (isAbsent(error))
      return missing(`${Key} is not in the bucket: \`infra/operate upload-models FOLDER\``);
    throw error;
  }
}
