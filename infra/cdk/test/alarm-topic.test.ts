import { expect, it } from "vitest";

import { only, templateOf } from "./support/service.ts";

const template = templateOf("full");
const [topic, { KmsMasterKeyId }] = only(template, "AWS::SNS::Topic", { TopicName: "studio-alarms" });
const [key, { EnableKeyRotation, KeyPolicy }] = only(template, "AWS::KMS::Key");
const cloudwatch = {
  Principal: { Service: "cloudwatch.amazonaws.com" },
  Condition: { StringEquals: { "aws:SourceAccount": "111122223333" } },
};

it("lets CloudWatch publish for this account, over TLS", () => {
  const [, { PolicyDocument }] = only(template, "AWS::SNS::TopicPolicy", { Topics: [{ Ref: topic }] });
  expect(PolicyDocument.Statement).toEqual([
    expect.objectContaining({ Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } }),
    expect.objectContaining({
      Effect: "Allow",
      Action: "sns:Publish",
      Resource: { Ref: topic },
      ...cloudwatch,
    }),
  ]);
});

it("has a key of its own that CloudWatch may use, since AWS's own for SNS does not let it", () => {
  expect(KmsMasterKeyId).toEqual({ "Fn::GetAtt": [key, "Arn"] });
  expect(EnableKeyRotation).toBe(true);
  expect(KeyPolicy.Statement).toContainEqual({
    Effect: "Allow",
    Action: ["kms:Decrypt", "kms:GenerateDataKey*"],
    Resource: "*",
    ...cloudwatch,
  });
});

it("goes to the address of the configuration", () => {
  const [, { Endpoint, Protocol }] = only(template, "AWS::SNS::Subscription", { TopicArn: { Ref: topic } });
  expect([Protocol, Endpoint]).toEqual(["email", "oncall@example.com"]);
});

it("is not created without an address, so that its key costs nothing", () => {
  const template = templateOf("minimal");
  template.resourceCountIs("AWS::KMS::Key", 0);
  template.resourceCountIs("AWS::SNS::Topic", 2);
});
