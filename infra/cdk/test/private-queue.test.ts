import { expect, it } from "vitest";

import { all, templateOf, type Json } from "./support/service.ts";

const template = templateOf("full");
const queues = all(template, "AWS::SQS::Queue");
const policies = Object.values(all(template, "AWS::SQS::QueuePolicy"));

it("is every queue of the stack: encrypted, and as large as SQS takes", () => {
  expect(
    Object.values(queues)
      .map(({ QueueName }) => QueueName)
      .sort(),
  ).toEqual([
    "studio-comfyui",
    "studio-comfyui-dlq",
    "studio-results-newsroom",
    "studio-results-shop",
    "studio-sdruntime",
    "studio-sdruntime-dlq",
    "studio-undelivered",
    "studio-unnotified",
  ]);
  for (const queue of Object.values(queues)) {
    expect(queue).toMatchObject({ SqsManagedSseEnabled: true, MaximumMessageSize: 1048576 });
  }
});

it.each(Object.entries(queues))("%s is reached over TLS only", (id) => {
  const policy = policies.find(({ Queues }) => Queues[0].Ref === id);
  expect(policy.PolicyDocument.Statement).toContainEqual({
    Effect: "Deny",
    Principal: { AWS: "*" },
    Action: "sqs:*",
    Resource: { "Fn::GetAtt": [id, "Arn"] },
    Condition: { Bool: { "aws:SecureTransport": "false" } },
  });
});

it("takes messages from SNS for one topic only", () => {
  const allowed = policies.flatMap(({ PolicyDocument }) =>
    PolicyDocument.Statement.filter(({ Effect }: Json) => Effect === "Allow"),
  );
  expect(allowed.length).toBeGreaterThan(0);
  for (const statement of allowed) {
    expect(statement).toMatchObject({
      Principal: { Service: "sns.amazonaws.com" },
      Action: "sqs:SendMessage",
      Condition: { ArnEquals: { "aws:SourceArn": { Ref: expect.stringContaining("Topic") } } },
    });
  }
});
