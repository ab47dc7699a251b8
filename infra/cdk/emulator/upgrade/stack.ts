// What CloudFormation knows of the deployed stack, and of templates that are not deployed here.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { CloudFormationClient, DescribeStackResourcesCommand } from "@aws-sdk/client-cloudformation";

import { access, type Emulator } from "../support/emulator.ts";
import type { Json } from "../support/service.ts";
import type { Version } from "./version.ts";

/** Types of what holds tasks and results, and of what clients have addresses and keys of. */
const LASTING = [
  "AWS::SQS::Queue",
  "AWS::SNS::Topic",
  "AWS::SNS::Subscription",
  "AWS::S3::Bucket",
  "AWS::ApiGateway::RestApi",
  "AWS::ApiGateway::ApiKey",
];

/** The physical ids of what must last, by logical id. */
export async function lasting(emulator: Emulator): Promise<Record<string, string>> {
  const client = new CloudFormationClient(access(emulator));
  const { StackResources } = await client.send(
    new DescribeStackResourcesCommand({ StackName: "check-service" }),
  );
  return Object.fromEntries(
    (StackResources ?? [])
      .filter(({ ResourceType }) => LASTING.includes(ResourceType ?? ""))
      .map(({ LogicalResourceId, PhysicalResourceId }) => [LogicalResourceId, PhysicalResourceId]),
  );
}

/** The names that the stack of the service exports. */
export function exported(version: Version): string[] {
  const outputs: Json[] = Object.values(template(version, "check-service").Outputs ?? {});
  return outputs.flatMap(({ Export }) => (Export ? [Export.Name] : []));
}

/** The names that the stack of the cluster imports: CloudFormation does not let the service's stack drop them meanwhile. */
export function imported(version: Version): string[] {
  const names = new Set<string>();
  JSON.stringify(template(version, "check-cluster"), (key, value) => {
    if (key === "Fn::ImportValue") names.add(value);
    return value;
  });
  return [...names];
}

function template({ folder }: Version, stack: string): Json {
  return JSON.parse(readFileSync(join(folder, "cdk.out", `${stack}.template.json`), "utf8"));
}
