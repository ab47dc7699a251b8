import { describe, expect, it } from "vitest";

import type { Config } from "../lib/config/types.ts";
import { only, statementsOf, templateOf, type Json } from "./support/service.ts";

const NAME = "studio-front-door";
const template = templateOf("full");
const handler = (change?: (config: Config) => void): Json =>
  only(templateOf("full", change), "AWS::Lambda::Function", { FunctionName: NAME })[1];
const withoutRecords = ({ records }: Config) => (records.enabled = false);
const withoutClaimChecks = ({ runtimes }: Config) =>
  runtimes.forEach((runtime) => (runtime.claimCheck = false));

const [topic] = only(template, "AWS::SNS::Topic", { TopicName: "studio-tasks" });
const [bucket] = only(template, "AWS::S3::Bucket");
const [table] = only(template, "AWS::DynamoDB::Table");
const [logs] = only(template, "AWS::Logs::LogGroup", { LogGroupName: `/aws/lambda/${NAME}` });

const WRITE_LOGS = {
  Effect: "Allow",
  Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
  Resource: { "Fn::GetAtt": [logs, "Arn"] },
};
const TRACE = {
  Effect: "Allow",
  Action: ["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
  Resource: "*",
};
const PUBLISH = { Effect: "Allow", Action: "sns:Publish", Resource: { Ref: topic } };
const STORE = {
  Effect: "Allow",
  Action: "s3:PutObject",
  Resource: { "Fn::Join": ["", [{ "Fn::GetAtt": [bucket, "Arn"] }, "/_darkroom/tasks/*"]] },
};

const tableArn = { "Fn::GetAtt": [table, "Arn"] };
const RECORD = {
  Effect: "Allow",
  Action: [
    "dynamodb:BatchGetItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
  ],
  Resource: tableArn,
};
const LIST = {
  Effect: "Allow",
  Action: "dynamodb:Query",
  Resource: ["by_owner", "unfinished"].map((index) => ({ "Fn::Join": ["", [tableArn, `/index/${index}`]] })),
};
const READ = {
  Effect: "Allow",
  Action: "s3:GetObject",
  Resource: { "Fn::Join": ["", [{ "Fn::GetAtt": [bucket, "Arn"] }, "/*"]] },
};
const UPLOAD = {
  Effect: "Allow",
  Action: "s3:PutObject",
  Resource: { "Fn::Join": ["", [{ "Fn::GetAtt": [bucket, "Arn"] }, "/_darkroom/uploads/*"]] },
};

const COUNT = {
  Effect: "Allow",
  Action: "sqs:GetQueueAttributes",
  Resource: ["studio-sdruntime", "studio-comfyui"].map((QueueName) => ({
    "Fn::GetAtt": [only(template, "AWS::SQS::Queue", { QueueName })[0], "Arn"],
  })),
};

describe("what the front door may do", () => {
  it("is to publish, to store what is too large for a message, to record, to sign URLs of results and for uploads, to count what waits, to log and to be traced", () => {
    const all = [WRITE_LOGS, TRACE, PUBLISH, STORE, RECORD, LIST, READ, UPLOAD, COUNT];
    expect(statementsOf(template, NAME)).toEqual(all);
  });

  it("is not to store tasks where no runtime takes claim checks, and no workflow is returned", () => {
    const some = [WRITE_LOGS, TRACE, PUBLISH];
    const change = (config: Config) => {
      withoutRecords(config);
      withoutClaimChecks(config);
    };
    expect(statementsOf(templateOf("full", change), NAME)).toEqual(some);
    expect(statementsOf(templateOf("full", withoutClaimChecks), NAME)).toContainEqual(STORE);
  });

  it("is to touch neither records nor results where tasks are not recorded", () => {
    const some = [WRITE_LOGS, TRACE, PUBLISH, STORE];
    expect(statementsOf(templateOf("full", withoutRecords), NAME)).toEqual(some);
  });
});

describe("the front door's function", () => {
  it("has the variables that it needs, and no others", () => {
    expect(handler().Environment.Variables).toEqual({
      SNS_TOPIC_ARN: { Ref: topic },
      S3_OUTPUT_BUCKET: { Ref: bucket },
      RUNTIMES_FILE: "runtimes.json",
      MAX_MESSAGE_BYTES: "1048576",
      PUBLISH_TIMEOUT_MS: "8000",
      METRICS_NAMESPACE: "Darkroom/studio",
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces.example.com/v1/traces",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.1",
      RECORD_TABLE: { Ref: table },
      RECORD_DAYS: "90",
      MAX_UNFINISHED_TASKS: "500",
      URL_EXPIRY_SECONDS: "3600",
      QUEUE_PREFIX: "studio-",
      ASSET_DAYS: "12",
    });
  });

  it.each([
    ["with claim checks", withoutRecords],
    [
      "without",
      (config: Config) => {
        withoutRecords(config);
        withoutClaimChecks(config);
      },
    ],
    ["with records", undefined],
  ])("answers before its time is up, %s", (_, change) => {
    const { Timeout, Environment } = handler(change);
    expect(Timeout * 1000 - Number(Environment.Variables.PUBLISH_TIMEOUT_MS)).toBeGreaterThanOrEqual(2000);
  });

  it("waits for a task as long as `Prefer: wait` may, and no longer than API Gateway", () => {
    const LONGEST_WAIT = 25;
    expect(handler().Timeout).toBeGreaterThan(LONGEST_WAIT);
    expect(handler().Timeout).toBeLessThanOrEqual(29);
    expect(handler(withoutRecords).Timeout).toBeLessThan(LONGEST_WAIT);
  });

  it.each([
    [0, "14"],
    [30, "14"],
    [14, "12"],
    [7, "5"],
  ])("promises assets for less time than the bucket keeps them: %d days", (lifetimeDays, days) => {
    const { Environment } = handler(({ results }) => (results.lifetimeDays = lifetimeDays));
    expect(Environment.Variables.ASSET_DAYS).toBe(days);
  });

  it("has room for a body of 6 MB in four forms", () => {
    expect(handler().MemorySize).toBe(256);
  });

  it("reserves the concurrency of the configuration, or none", () => {
    expect(handler().ReservedConcurrentExecutions).toBe(100);
    expect(handler(({ api }) => (api.concurrency = 0))).not.toHaveProperty("ReservedConcurrentExecutions");
  });
});
