import { describe, expect, it } from "vitest";

import { all, only, templateOf } from "./support/service.ts";

const template = templateOf("full");

describe.each(["studio-front-door", "studio-dead-letter"])("the function %s", (name) => {
  const [, handler] = only(template, "AWS::Lambda::Function", { FunctionName: name });

  it("is a program for arm64 on Amazon Linux 2023, and traced", () => {
    expect(handler).toMatchObject({
      Runtime: "provided.al2023",
      Architectures: ["arm64"],
      Handler: "bootstrap",
      TracingConfig: { Mode: "Active" },
    });
  });

  it("writes JSON to a log of its own that is kept for a month and goes with the stack", () => {
    const [logs, group] = only(template, "AWS::Logs::LogGroup", { LogGroupName: `/aws/lambda/${name}` });
    expect(handler.LoggingConfig).toEqual({ LogFormat: "JSON", LogGroup: { Ref: logs } });
    expect(group.RetentionInDays).toBe(30);
    expect(template.findResources("AWS::Logs::LogGroup")[logs]).toMatchObject({ DeletionPolicy: "Delete" });
  });

  it("has a role that only Lambda can assume, without policies of AWS's", () => {
    const role = all(template, "AWS::IAM::Role")[handler.Role["Fn::GetAtt"][0]];
    expect(role).not.toHaveProperty("ManagedPolicyArns");
    expect(role.AssumeRolePolicyDocument.Statement).toEqual([
      { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "lambda.amazonaws.com" } },
    ]);
  });
});
