import { describe, expect, it } from "vitest";

import type { Config } from "../lib/config/types.ts";
import { only, statementsOf, templateOf, type Json } from "./support/service.ts";

const NAME = "studio-front-door";
const template = templateOf("full");
const handler = (change?: (config: Config) => void): Json =>
  only(templateOf("full", change), "AWS::Lambda::Function", { FunctionName: NAME })[1];
const withoutClaimChecks = ({ runtimes }: Config) =>
  runtimes.forEach((runtime) => (runtime.claimCheck = false));

const [topic] = only(template, "AWS::SNS::Topic", { TopicName: "studio-tasks" });
const [bucket] = only(template, "AWS::S3::Bucket");
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

describe("what the front door may do", () => {
  it("is to publish, to store what is too large for a message, to log and to be traced", () => {
    expect(statementsOf(template, NAME)).toEqual([WRITE_LOGS, TRACE, PUBLISH, STORE]);
  });

  it("is not to store where no runtime takes claim checks", () => {
    expect(statementsOf(templateOf("full", withoutClaimChecks), NAME)).toEqual([WRITE_LOGS, TRACE, PUBLISH]);
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
    });
  });

  it.each([
    ["with claim checks", undefined],
    ["without", withoutClaimChecks],
  ])("answers before its time is up, %s", (_, change) => {
    const { Timeout, Environment } = handler(change);
    expect(Timeout * 1000 - Number(Environment.Variables.PUBLISH_TIMEOUT_MS)).toBeGreaterThanOrEqual(2000);
  });

  it("has room for a body of 6 MB in four forms", () => {
    expect(handler().MemorySize).toBe(256);
  });

  it("reserves the concurrency of the configuration, or none", () => {
    expect(handler().ReservedConcurrentExecutions).toBe(100);
    expect(handler(({ api }) => (api.concurrency = 0))).not.toHaveProperty("ReservedConcurrentExecutions");
  });
});
