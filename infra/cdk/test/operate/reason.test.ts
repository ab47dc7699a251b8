import { HeadBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { afterAll, expect, test } from "vitest";

import { reasonOf } from "../../operate/support/aws.ts";

const server = createServer((_, response) => response.writeHead(403).end());
await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
afterAll(() => server.close());

test("a HEAD without an error body is described by its status", async () => {
  const client = new S3Client({
    region: "us-west-2",
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    forcePathStyle: true,
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  const error = await client.send(new HeadBucketCommand({ Bucket: "models" })).catch((error: Error) => error);
  expect(reasonOf(error as Error)).toBe("HTTP 403, without a reason");
});

test("anything else is described in AWS's words, up to the end of the first line", () => {
  const error = Object.assign(new Error("not today\nnor tomorrow"), { name: "ThrottlingException" });
  expect(reasonOf(error)).toBe("ThrottlingException: not today");
});
