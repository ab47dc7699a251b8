// The end of a task, as it lies in the bucket: `.out` is written last, for successes and failures alike.

import { GetObjectCommand, ListObjectsV2Command, type S3Client } from "@aws-sdk/client-s3";

import { Failure } from "../support/failure.ts";

export interface Completed {
  /** The address of the `.out` file, and when S3 took it. */
  uri: string;
  at: Date;
  notification: {
    task_status: string;
    image_url: string[];
    timings?: { queue_ms?: number; prepare_ms?: number; run_ms?: number; store_ms?: number };
    error?: { code: string; message: string };
  };
}

const POLL_MS = 1000;

/** Waits for the `.out` file of the one task whose files begin with a prefix. */
export async function awaitOut(
  client: S3Client,
  Bucket: string,
  Prefix: string,
  timeoutSeconds: number,
): Promise<Completed> {
  const until = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix }));
    const out = Contents.find(({ Key }) => Key?.endsWith(".out"));
    if (out?.Key) {
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key: out.Key }));
      const { notification } = JSON.parse((await Body?.transformToString()) ?? "{}") as Pick<
        Completed,
        "notification"
      >;
      return { uri: `s3://${Bucket}/${out.Key}`, at: out.LastModified ?? new Date(), notification };
    }
    if (Date.now() > until) {
      throw new Failure(`nothing came in ${timeoutSeconds / 60} minutes below s3://${Bucket}/${Prefix}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export async function download(
  client: S3Client,
  uris: string[],
): Promise<{ uri: string; data: Uint8Array }[]> {
  return Promise.all(
    uris.map(async (uri) => {
      const [, Bucket, Key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
      if (!Bucket || !Key) throw new Failure(`${uri} is no S3 address`);
      const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
      return { uri, data: (await Body?.transformToByteArray()) ?? new Uint8Array() };
    }),
  );
}
