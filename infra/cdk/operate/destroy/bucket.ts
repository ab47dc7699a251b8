// A bucket with everything in it.

import {
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListObjectVersionsCommand,
  type S3Client,
} from "@aws-sdk/client-s3";

import { isAbsent } from "../support/aws.ts";
import { say } from "../support/console.ts";
import { Failure } from "../support/failure.ts";

/**
 * Deletes a bucket; answers whether there was one. Versions go, too: an operator may have switched them on.
 */
export async function deleteBucket(client: S3Client, Bucket: string): Promise<boolean> {
  try {
    let gone = 0;
    for (;;) {
      // At most 1,000, which is also what one call deletes. Always the first ones: those before them are
      // gone.
      const page = await client.send(new ListObjectVersionsCommand({ Bucket }));
      const Objects = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].flatMap(
        ({ Key, VersionId }) => (Key === undefined ? [] : [{ Key, VersionId }]),
      );
      if (Objects.length === 0) break;
      const { Errors } = await client.send(
        new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }),
      );
      if (Errors?.[0]) throw new Failure(`${Errors[0].Key} cannot be deleted: ${Errors[0].Message}`);
      gone += Objects.length;
      say(`deleted ${gone} objects of ${Bucket}`);
    }
    await client.send(new DeleteBucketCommand({ Bucket }));
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}
