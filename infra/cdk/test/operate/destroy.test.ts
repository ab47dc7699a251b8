// The end of a deployment, and what outlives it.

import { CloudFormationClient, ListStacksCommand } from "@aws-sdk/client-cloudformation";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { PutBucketVersioningCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { beforeEach, describe, expect, test } from "vitest";

import type { Config } from "../../lib/config/types.ts";
import { destroy, losesResults } from "../../operate/destroy.ts";
import { deleteBucket } from "../../operate/destroy/bucket.ts";
import { tableExists } from "../../operate/destroy/table.ts";
import { bucketRegion } from "../../operate/preflight/models.ts";
import { aws, s3 } from "../../operate/support/aws.ts";
import { Stacks } from "../../operate/support/stacks.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { makeBucket, makeStack, makeTable } from "./support/deployment.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const terminal = withTerminal();
const config = configuration();
const client = () => new S3Client(s3(config));
const recorded = () => tableExists(new DynamoDBClient(aws(config)), "records");
const stacks = () => Stacks.of(config);
const exists = async (Bucket: string) => (await bucketRegion(client(), Bucket)) !== undefined;

async function stackNames(): Promise<string[]> {
  const { StackSummaries = [] } = await new CloudFormationClient(aws(config)).send(
    new ListStacksCommand({ StackStatusFilter: ["CREATE_COMPLETE"] }),
  );
  return StackSummaries.map(({ StackName }) => StackName ?? "").sort();
}

describe("destroy", () => {
  beforeEach(async () => {
    await makeBucket("models", ["Stable-diffusion/v1-5.safetensors"]);
    await makeBucket("results", ["output/a/a-1.png", "_darkroom/failed/x.json"]);
    await makeTable("records");
    await makeStack("darkroom-service", { ResultsBucket: "results", RecordsTable: "records" });
    await makeStack("darkroom-cluster");
    await makeStack("somebody-elses");
  });

  test("deletes both stacks and nothing else, and keeps both buckets and the records", async () => {
    await destroy(config, stacks(), false);
    expect(await stackNames()).toEqual(["somebody-elses"]);
    expect([await exists("models"), await exists("results"), await recorded()]).toEqual([true, true, true]);
    expect(terminal.text).toMatch(/deleting the stack darkroom-cluster\ndeleting the stack darkroom-service/);
    expect(terminal.text).toContain("s3://results: the results");
    expect(terminal.text).toContain("the table records: the records of tasks");
    expect(terminal.text).toContain("s3://models: the models");
  });

  test("deletes results and records on request, and never the models", async () => {
    await destroy(config, stacks(), true);
    expect([await exists("models"), await exists("results"), await recorded()]).toEqual([true, false, false]);
    expect(terminal.text).not.toContain("s3://results: the results");
    expect(terminal.text).not.toContain("the table records: ");
  });

  test("names GPU nodes that nobody terminated", async () => {
    const ec2 = new EC2Client(aws(config));
    const tag = (Value: string) => [
      { ResourceType: "instance" as const, Tags: [{ Key: "darkroom:deployment", Value }] },
    ];
    const run = async (name: string) => {
      const ImageId = "ami-12345678";
      const { Instances } = await ec2.send(
        new RunInstancesCommand({ ImageId, MinCount: 1, MaxCount: 1, TagSpecifications: tag(name) }),
      );
      return Instances?.[0]?.InstanceId;
    };
    const [ours, others] = [await run("darkroom"), await run("another")];
    await destroy(config, stacks(), false);
    expect(terminal.text).toContain(`the instance ${ours}, which Karpenter launched`);
    expect(terminal.text).not.toContain(others);
  });

  test("names those of EKS Auto Mode by their cluster and pool", async () => {
    const ec2 = new EC2Client(aws(config));
    const run = async (cluster: string, pool: string) => {
      const Tags = [
        { Key: "eks:eks-cluster-name", Value: cluster },
        { Key: "eks:kubernetes-node-pool-name", Value: pool },
      ];
      const { Instances } = await ec2.send(
        new RunInstancesCommand({
          ImageId: "ami-12345678",
          MinCount: 1,
          MaxCount: 1,
          TagSpecifications: [{ ResourceType: "instance", Tags }],
        }),
      );
      return Instances?.[0]?.InstanceId ?? "";
    };
    const ours = await run("production", "darkroom-sdruntime");
    const others = [await run("production", "general-purpose"), await run("darkroom", "darkroom-sdruntime")];
    const existing: Config = {
      ...config,
      cluster: { ...config.cluster, existing: "production", nodes: "auto" },
    };
    await destroy(existing, stacks(), false);
    expect(terminal.text).toContain(`the instance ${ours}, which EKS Auto Mode launched`);
    for (const other of others) expect(terminal.text).not.toContain(other);
  });

  test.each([
    [undefined, "the images in the ECR repositories darkroom/*"],
    [`${ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/images`, `the images in ${ACCOUNT}.dkr.ecr.`],
    [`${ACCOUNT}.dkr-ecr.us-west-2.on.aws/images`, `the images in ${ACCOUNT}.dkr-ecr.`],
    ["ghcr.io/owner/darkroom", undefined],
    ["public.ecr.aws/owner/darkroom", undefined],
  ])("says of the images in %s what is billed", async (registry, expected) => {
    const images = { tag: config.images.tag, ...(registry ? { registry } : {}) };
    await destroy({ ...config, images }, stacks(), false);
    if (expected) expect(terminal.text).toContain(expected);
    else expect(terminal.text).not.toContain("the images in");
  });

  test("does nothing where nothing is", async () => {
    await destroy(config, stacks(), false);
    terminal.text = "";
    await destroy(config, stacks(), true);
    expect(terminal.text).not.toContain("deleting");
    expect(await exists("results")).toBe(true);
  });

  test("knows from the deployed stack whether results go with it", async () => {
    expect(await losesResults(config, stacks())).toBe(false);
    const emptied = {
      Type: "Custom::S3AutoDeleteObjects",
      Properties: { ServiceToken: "arn:aws:sns:us-west-2:123456789012:x" },
    };
    const told: typeof stacks = () =>
      Object.assign(stacks(), {
        resources: async (_: string, type: string) => (type === emptied.Type ? ["x"] : []),
      });
    expect(await losesResults(config, told())).toBe(true);
  });
});

describe("a bucket's end", () => {
  test("more objects than one call deletes, and all their versions", async () => {
    await makeBucket("full", []);
    await client().send(
      new PutBucketVersioningCommand({ Bucket: "full", VersioningConfiguration: { Status: "Enabled" } }),
    );
    for (let n = 0; n < 1010; n += 100) {
      await Promise.all(
        Array.from({ length: 101 }, (_, i) =>
          client().send(new PutObjectCommand({ Bucket: "full", Key: `k${n + i}`, Body: "x" })),
        ),
      );
    }
    expect(await deleteBucket(client(), "full")).toBe(true);
    expect(await exists("full")).toBe(false);
    expect(await deleteBucket(client(), "full")).toBe(false);
    expect(terminal.text.match(/deleted \d+ objects/g)?.length).toBeGreaterThan(1);
  });
});
