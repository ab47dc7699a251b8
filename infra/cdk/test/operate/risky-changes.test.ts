// `update` reads what the pinned CDK prints, so the test lets it print.

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { CDK } from "../../operate/support/paths.ts";
import { risky } from "../../operate/update/risky.ts";

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "darkroom-diff-"))));
afterAll(() => rmSync(folder, { recursive: true }));

type Resources = Record<
  string,
  { Type: string; Properties?: object; DeletionPolicy?: string; Metadata?: object }
>;

/** What `cdk diff` says of two templates. */
function diff(before: Resources, after: Resources): string {
  const app = join(folder, "app");
  mkdirSync(app, { recursive: true });
  const artifacts = {
    "darkroom-service": {
      type: "aws:cloudformation:stack",
      environment: "aws://unknown-account/unknown-region",
      properties: { templateFile: "after.json" },
      displayName: "darkroom-service",
    },
  };
  writeFileSync(join(app, "manifest.json"), JSON.stringify({ version: "53.0.0", artifacts }));
  writeFileSync(join(app, "after.json"), JSON.stringify({ Resources: after }));
  writeFileSync(join(folder, "before.json"), JSON.stringify({ Resources: before }));
  const args = [
    "diff",
    "--ci",
    "--no-notices",
    "--app",
    app,
    "--template",
    join(folder, "before.json"),
    "darkroom-service",
  ];
  const { stdout, stderr, status } = spawnSync(resolve(CDK, "node_modules/.bin/cdk"), args, {
    encoding: "utf8",
    cwd: folder,
    env: {
      ...process.env,
      NO_COLOR: "1",
      FORCE_COLOR: "0",
      CDK_DISABLE_CLI_TELEMETRY: "true",
      AWS_EC2_METADATA_DISABLED: "true",
    },
  });
  expect(status, stderr).toBe(0);
  return stdout;
}

const queue = (QueueName: string) => ({
  Type: "AWS::SQS::Queue",
  Properties: { QueueName },
  Metadata: { "aws:cdk:path": "darkroom-service/TaskBus/Queue/Resource" },
});

test("what would be lost or made anew is named; what only changes is not", () => {
  const topic = (DisplayName: string) => ({ Type: "AWS::SNS::Topic", Properties: { DisplayName } });
  const table = (AttributeName: string) => ({
    Type: "AWS::DynamoDB::Table",
    Properties: {
      AttributeDefinitions: [{ AttributeName, AttributeType: "S" }],
      KeySchema: [{ AttributeName, KeyType: "HASH" }],
    },
  });
  const role = { Type: "AWS::IAM::Role", Properties: { AssumeRolePolicyDocument: {} } };
  const printed = diff(
    {
      Renamed: queue("a"),
      Gone: queue("b"),
      Kept: { Type: "AWS::S3::Bucket", DeletionPolicy: "Retain" },
      Topic: topic("x"),
      Records: table("pk"),
      Role: role,
    },
    { Renamed: queue("c"), Topic: topic("y"), Records: table("id") },
  );
  expect(risky(printed)).toEqual([
    { type: "AWS::SQS::Queue", id: "Gone", fate: "destroyed" },
    { type: "AWS::SQS::Queue", id: "Renamed", fate: "replaced" },
    { type: "AWS::DynamoDB::Table", id: "Records", fate: "replaced" },
  ]);
});

test("nothing is risky where nothing changes", () => {
  const printed = diff({ Queue: queue("a") }, { Queue: queue("a") });
  expect(printed).toContain("no differences");
  expect(risky(printed)).toEqual([]);
});
