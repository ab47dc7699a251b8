// A deployment in moto: stacks are small ones with the real one's outputs.

import { CloudFormationClient, CreateStackCommand } from "@aws-sdk/client-cloudformation";
import { CreateTableCommand, DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";

import { aws, s3 } from "../../../operate/support/aws.ts";

const REGION = { region: "us-west-2" };

/** A stack with outputs and, so that it holds something, a topic. */
export async function makeStack(name: string, outputs: Record<string, string> = {}): Promise<void> {
  const Outputs = Object.fromEntries(Object.entries(outputs).map(([key, Value]) => [key, { Value }]));
  const template = {
    Resources: { Topic: { Type: "AWS::SNS::Topic", Properties: { TopicName: name } } },
    Outputs,
  };
  await new CloudFormationClient(aws(REGION)).send(
    new CreateStackCommand({ StackName: name, TemplateBody: JSON.stringify(template) }),
  );
}

export async function makeBucket(Bucket: string, objects: string[]): Promise<void> {
  const client = new S3Client(s3(REGION));
  const CreateBucketConfiguration = { LocationConstraint: "us-west-2" } as const;
  await client.send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration }));
  for (const Key of objects) await client.send(new PutObjectCommand({ Bucket, Key, Body: Key }));
}

/** A table that is protected against deletion. */
export async function makeTable(TableName: string): Promise<void> {
  await new DynamoDBClient(aws(REGION)).send(
    new CreateTableCommand({
      TableName,
      BillingMode: "PAY_PER_REQUEST",
      AttributeDefinitions: [{ AttributeName: "pk", AttributeType: "S" }],
      KeySchema: [{ AttributeName: "pk", KeyType: "HASH" }],
      DeletionProtectionEnabled: true,
    }),
  );
}
