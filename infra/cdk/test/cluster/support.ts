// The cluster's stack of an example, with a stand-in for the service's stack.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import {
  App,
  aws_dynamodb as dynamodb,
  aws_s3 as s3,
  aws_sns as sns,
  aws_sqs as sqs,
  Stack,
} from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";

import { ClusterStack } from "../../lib/cluster-stack.ts";
import type { Config } from "../../lib/config/types.ts";
import { type Example, EXAMPLES, example, oncePerExample } from "../support/examples.ts";

export { EXAMPLES, example, type Example };

/** What a test reads in a template is of whatever shape CloudFormation gives it. */
export type Json = any;

export interface Resource {
  Type: string;
  Properties: Json;
  DependsOn?: string[];
}

export interface Synthesized {
  stack: ClusterStack;
  template: Template;
  config: Config;
}

const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const { context } = JSON.parse(readFileSync(file("../../cdk.json"), "utf8")) as {
  context: Record<string, unknown>;
};

/** The cluster's stack of that configuration, synthesized, in these zones if they were handed over. */
export function synth(config: Config, zones?: string[]): Synthesized {
  return zones ? synthesized(config, zones) : shared(config);
}

const shared = oncePerExample((config) => synthesized(config));

function synthesized(config: Config, zones?: string[]): Synthesized {
  const app = new App({ context });
  const env = { account: config.account, region: config.region };
  const service = new Stack(app, `${config.name}-service`, { env });
  const stack = new ClusterStack(app, `${config.name}-cluster`, {
    env,
    config,
    ...(zones ? { zones } : {}),
    service: {
      queues: Object.fromEntries(
        config.runtimes.map(({ name }) => [name, queue(service, `${config.name}-${name}`)]),
      ),
      bucket: new s3.Bucket(service, "Results"),
      records: config.records.enabled ? table(service) : undefined,
      completions: new sns.Topic(service, "Completions"),
    },
  });
  return { stack, template: Template.fromStack(stack), config };
}

function table(service: Stack): dynamodb.Table {
  const partitionKey = { name: "pk", type: dynamodb.AttributeType.STRING };
  return new dynamodb.Table(service, "TaskRecords", { partitionKey });
}

/** By its name, as the service hands them over. */
function queue(service: Stack, name: string): sqs.IQueue {
  return sqs.Queue.fromQueueArn(service, name, service.formatArn({ service: "sqs", resource: name }));
}

/** All resources of a template, by logical id. */
export function all(template: Template): Record<string, Resource> {
  return template.toJSON()["Resources"] as Record<string, Resource>;
}

/** The resources of that type whose properties match, by logical id. */
export function resources(template: Template, type: string, properties: object = {}): [string, Resource][] {
  return Object.entries(template.findResources(type, { Properties: properties })) as [string, Resource][];
}

/** The one resource of that type whose properties match. */
export function only(template: Template, type: string, properties: object = {}): [string, Resource] {
  const [found, ...more] = resources(template, type, properties);
  if (!found || more.length > 0) {
    throw new Error(`${more.length + (found ? 1 : 0)} of ${type} ${JSON.stringify(properties)}, not one`);
  }
  return found;
}

/** The release of that name. */
export function release(template: Template, name: string): [string, Resource] {
  return only(template, "Custom::AWSCDK-EKS-HelmChart", { Release: name });
}

/** The logical id that an `Fn::GetAtt` or a `Ref` names. */
export function target(value: Json): string {
  return value["Fn::GetAtt"]?.[0] ?? value.Ref;
}

/** Whether a resource is made after another and deleted before it, over any number of steps. */
export function dependsOn(template: Template, from: string, to: string): boolean {
  const everything = all(template);
  const seen = new Set<string>();
  const reaches = (id: string): boolean => {
    const resource = everything[id];
    if (id === to) return true;
    if (seen.has(id) || !resource) return false;
    seen.add(id);
    const named = JSON.stringify(resource.Properties ?? {}).matchAll(/"(?:Ref":|Fn::GetAtt":\[)"([^"]+)"/g);
    return [...(resource.DependsOn ?? []), ...[...named].map(([, name]) => name ?? "")].some(reaches);
  };
  return reaches(from);
}

/** The statements that a role is given by policies of the template. */
export function statementsOf(template: Template, roleId: string): Json[] {
  return ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"].flatMap((type) =>
    resources(template, type)
      .filter(([, { Properties }]) => (Properties.Roles ?? []).some((role: Json) => target(role) === roleId))
      .flatMap(([, { Properties }]) => Properties.PolicyDocument.Statement),
  );
}
