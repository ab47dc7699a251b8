// The models in the bucket.

import { createReadStream } from "node:fs";

import { HeadObjectCommand, paginateListObjectsV2, type S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";

import type { LocalFile } from "./local-files.ts";

/** 10,000 parts are S3's limit: 640 GB. Four of them in memory at once. */
const PART_BYTES = 64 * 1024 * 1024;
const PARTS_AT_ONCE = 4;

/** The time of change of the file that an object was made of. */
const CHANGED = "changed";

/** Sizes by key. */
export async function remoteFiles(client: S3Client, Bucket: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for await (const page of paginateListObjectsV2({ client }, { Bucket })) {
    for (const { Key, Size } of page.Contents ?? []) if (Key) sizes.set(Key, Size ?? 0);
  }
  return sizes;
}

/**
 * Whether a file has to be copied. Models of one kind are all of one size, so the time of change counts, too:
 * not whether it is newer, since an older model may replace a newer one, but whether it is another.
 */
export async function isChanged(
  client: S3Client,
  Bucket: string,
  { key: Key, size, changed }: LocalFile,
  remoteSize: number | undefined,
): Promise<boolean> {
  if (remoteSize !== size) return true;
  const { Metadata, LastModified } = await client.send(new HeadObjectCommand({ Bucket, Key }));
  const recorded = Metadata?.[CHANGED];
  if (recorded !== undefined) return recorded !== String(changed);
  // Copied by another tool: the same size, and no change since.
  return changed > (LastModified?.getTime() ?? 0);
}

/**
 * Copies a file, large ones in parts. S3 checks each part against the checksum that the SDK sends with it.
 */
export async function uploadFile(
  client: S3Client,
  Bucket: string,
  { path, key: Key, changed }: LocalFile,
): Promise<void> {
  const upload = new Upload({
    client,
    partSize: PART_BYTES,
    queueSize: PARTS_AT_ONCE,
    params: {
      Bucket,
      Key,
      Body: createReadStream(path, { highWaterMark: 1024 * 1024 }),
      ContentType: "application/octet-stream",
      Metadata: { [CHANGED]: String(changed) },
    },
  });
  await upload.done();
}
