import { mkdirSync, mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import {
  CreateBucketCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketTaggingCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  GetPublicAccessBlockCommand,
  HeadObjectCommand,
  ListBucketsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { localFiles } from "../../operate/models/local-files.ts";
import { s3 } from "../../operate/support/aws.ts";
import { uploadModels } from "../../operate/upload-models.ts";
import { configuration } from "./support/configuration.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const terminal = withTerminal();
const config = configuration("tags: { team: imaging }");
const Bucket = config.modelBucket;
const client = () => new S3Client(s3(config));

let folder = "";
beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "darkroom-models-"))));
afterEach(() => rmSync(folder, { recursive: true }));

function file(key: string, content: string, changed = "2026-01-01T00:00:00Z"): string {
  const path = join(folder, key);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  utimesSync(path, new Date(changed), new Date(changed));
  return path;
}

const content = async (Key: string) =>
  (await client().send(new GetObjectCommand({ Bucket, Key }))).Body?.transformToString();

const copied = () => terminal.text.match(/^copying \S+/gm) ?? [];

/** A bucket that exists already. Those that are made take no calls without TLS, and moto has no TLS. */
const plainBucket = () =>
  client().send(
    new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: "us-west-2" } }),
  );

describe("the bucket", () => {
  test("one that is made is private, encrypted, without versions, reached over TLS only", async () => {
    file("Stable-diffusion/v1-5.safetensors", "weights");
    // moto acts on the policy: the upload itself is refused, since it comes without TLS.
    await expect(uploadModels(config, folder)).rejects.toMatchObject({ $metadata: { httpStatusCode: 403 } });
    expect(terminal.text).toContain("made the bucket models in us-west-2");

    const access = await client().send(new GetPublicAccessBlockCommand({ Bucket }));
    expect(access.PublicAccessBlockConfiguration).toEqual({
      BlockPublicAcls: true,
      BlockPublicPolicy: true,
      IgnorePublicAcls: true,
      RestrictPublicBuckets: true,
    });
    const encryption = await client().send(new GetBucketEncryptionCommand({ Bucket }));
    const [rule] = encryption.ServerSideEncryptionConfiguration?.Rules ?? [];
    expect(rule?.ApplyServerSideEncryptionByDefault?.SSEAlgorithm).toBe("AES256");
    expect((await client().send(new GetBucketVersioningCommand({ Bucket }))).Status).toBeUndefined();
    const { Policy = "" } = await client().send(new GetBucketPolicyCommand({ Bucket }));
    expect(JSON.parse(Policy).Statement).toEqual([
      {
        Sid: "TlsOnly",
        Effect: "Deny",
        Principal: "*",
        Action: "s3:*",
        Resource: ["arn:aws:s3:::models", "arn:aws:s3:::models/*"],
        Condition: { Bool: { "aws:SecureTransport": "false" } },
      },
    ]);
    const { Rules = [] } = await client().send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
    expect(Rules[0]?.AbortIncompleteMultipartUpload?.DaysAfterInitiation).toBe(7);
    const { TagSet = [] } = await client().send(new GetBucketTaggingCommand({ Bucket }));
    expect(TagSet).toContainEqual({ Key: "darkroom:deployment", Value: "darkroom" });
    expect(TagSet).toContainEqual({ Key: "team", Value: "imaging" });
  });

  test("one in another region is refused, and nothing is copied", async () => {
    file("Stable-diffusion/v1-5.safetensors", "weights");
    await new S3Client(s3({ region: "eu-west-1" })).send(
      new CreateBucketCommand({ Bucket, CreateBucketConfiguration: { LocationConstraint: "eu-west-1" } }),
    );
    await expect(uploadModels(config, folder)).rejects.toThrow(
      "is in eu-west-1, the deployment in us-west-2",
    );
    expect(copied()).toEqual([]);
  });

  test("a dry run makes none", async () => {
    file("Stable-diffusion/v1-5.safetensors", "weights");
    await uploadModels(config, folder, true);
    expect(terminal.text).toContain("would make the bucket models");
    expect(terminal.text).toContain("would copy Stable-diffusion/v1-5.safetensors");
    expect((await client().send(new ListBucketsCommand({}))).Buckets).toEqual([]);
  });
});

describe("the files", () => {
  beforeEach(async () => void (await plainBucket()));

  test("only what changed is copied again", async () => {
    file("Stable-diffusion/v1-5.safetensors", "weights");
    file("Lora/style.safetensors", "style");
    await uploadModels(config, folder);
    expect(copied()).toEqual(["copying Lora/style.safetensors", "copying Stable-diffusion/v1-5.safetensors"]);

    terminal.text = "";
    await uploadModels(config, folder);
    expect(copied()).toEqual([]);
    expect(terminal.text).toContain("0 of 2 files copied");

    // The same size, and older than what it replaces: as models of one kind are.
    file("Lora/style.safetensors", "STYLE", "2020-01-01T00:00:00Z");
    terminal.text = "";
    await uploadModels(config, folder);
    expect(copied()).toEqual(["copying Lora/style.safetensors"]);
    expect(await content("Lora/style.safetensors")).toBe("STYLE");
  });

  test("an object of another tool counts by its size, and by when it was put", async () => {
    file("Stable-diffusion/v1-5.safetensors", "weights");
    await uploadModels(config, folder);
    await client().send(new PutObjectCommand({ Bucket, Key: "Lora/style.safetensors", Body: "style" }));
    file("Lora/style.safetensors", "style");
    terminal.text = "";
    await uploadModels(config, folder);
    expect(copied()).toEqual([]);
    file("Lora/style.safetensors", "style", "2100-01-01T00:00:00Z");
    await uploadModels(config, folder);
    expect(copied()).toEqual(["copying Lora/style.safetensors"]);
  });

  test("large ones go in parts, and arrive whole", async () => {
    const path = file("Stable-diffusion/v1-5.safetensors", "begin");
    const size = 65 * 1024 * 1024;
    truncateSync(path, size);
    await uploadModels(config, folder);
    const head = await client().send(
      new HeadObjectCommand({ Bucket, Key: "Stable-diffusion/v1-5.safetensors" }),
    );
    expect(head.ContentLength).toBe(size);
    // S3's mark of an object that came in two parts.
    expect(head.ETag).toMatch(/-2"$/);
  });

  test("what lies in the bucket only, and what a runtime still lacks, is named; nothing is deleted", async () => {
    file("Lora/style.safetensors", "style");
    await uploadModels(config, folder);
    await client().send(new PutObjectCommand({ Bucket, Key: "VAE/old.pt", Body: "old" }));
    terminal.text = "";
    await uploadModels(config, folder);
    expect(terminal.text).toContain("only in the bucket: VAE/old.pt");
    expect(terminal.text).toContain("still missing: Stable-diffusion/v1-5.safetensors");
    expect(await content("VAE/old.pt")).toBe("old");
  });
});

describe("the folder's layout", () => {
  test("folders that no runtime looks into are refused", async () => {
    file("Stable-diffusion/v1-5.safetensors", "weights");
    file("stable-diffusion/other.safetensors", "weights");
    await expect(localFiles(folder)).rejects.toThrow(
      /do not look into stable-diffusion; files belong into one of/,
    );
  });

  test("files beside the folders are refused", async () => {
    file("model.safetensors", "weights");
    await expect(localFiles(folder)).rejects.toThrow("do not look into model.safetensors");
  });

  test("empty files, and a folder without any", async () => {
    await expect(localFiles(folder)).rejects.toThrow("holds no files");
    file("Stable-diffusion/v1-5.safetensors", "");
    await expect(localFiles(folder)).rejects.toThrow("empty files: Stable-diffusion/v1-5.safetensors");
    await expect(localFiles(join(folder, "nowhere"))).rejects.toThrow("cannot be read");
  });

  test("hidden files and half downloads are left out", async () => {
    file("Stable-diffusion/v1-5.safetensors", "weights");
    file("Stable-diffusion/.DS_Store", "x");
    file("Stable-diffusion/v2.safetensors.part", "half");
    expect((await localFiles(folder)).map(({ key }) => key)).toEqual(["Stable-diffusion/v1-5.safetensors"]);
  });
});
