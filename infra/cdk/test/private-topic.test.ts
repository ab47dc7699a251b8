import { expect, it } from "vitest";

import { all, only, templateOf } from "./support/service.ts";

const template = templateOf("full");

it.each(["studio-tasks", "studio-completions"])(
  "%s is encrypted with the key that publishers need no right to",
  (name) => {
    const [, topic] = only(template, "AWS::SNS::Topic", { TopicName: name });
    expect(topic.KmsMasterKeyId).toBe("alias/aws/sns");
  },
);

it.each(["studio-tasks", "studio-completions"])("%s is reached over TLS only", (name) => {
  const [id] = only(template, "AWS::SNS::Topic", { TopicName: name });
  const policy = Object.values(all(template, "AWS::SNS::TopicPolicy")).find(
    ({ Topics }) => Topics[0].Ref === id,
  );
  expect(policy.PolicyDocument.Statement).toEqual([
    {
      Sid: "AllowPublishThroughSSLOnly",
      Effect: "Deny",
      Principal: "*",
      Action: "sns:Publish",
      Resource: { Ref: id },
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
  ]);
});
