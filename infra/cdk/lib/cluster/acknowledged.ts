// Findings of cdk-nag that stay, each with its reason. It takes them one by one, by what it found: so a
// wildcard that comes later is reported again.

import { aws_iam as iam, aws_lambda as lambda, Stack, Validations } from "aws-cdk-lib";
import type { IConstruct } from "constructs";

/** Policies that AWS manages. */
export function acknowledgeAwsPolicies(scope: IConstruct, reason: string, ...names: string[]): void {
  for (const name of names) {
    Validations.of(scope).acknowledge({
      id: managed(`arn:<AWS::Partition>:iam::aws:policy/${name}`),
      reason,
    });
  }
}

/** Resources with a wildcard in them. */
export function acknowledgeWildcards(scope: IConstruct, reason: string, ...resources: string[]): void {
  for (const resource of resources) {
    Validations.of(scope).acknowledge({ id: wildcard(flat(Stack.of(scope).resolve(resource))), reason });
  }
}

/** What CDK makes for its custom resources, and nobody here can change. */
export function acknowledgeProviders(scope: IConstruct): void {
  const inside = scope.node.findAll();
  const stack = Stack.of(scope);
  const functions = inside.filter((child) => child instanceof lambda.CfnFunction);
  const policies = inside
    .filter((child) => child instanceof iam.CfnRole)
    .flatMap((role) => (stack.resolve(role.managedPolicyArns) as unknown[] | undefined) ?? []);
  const findings = {
    "CDK's provider framework calls its own functions in any version.": functions.map(({ logicalId }) =>
      wildcard(`<${stack.resolve(logicalId)}.Arn>:*`),
    ),
    "CDK's functions write their logs, have network interfaces and read registries.": policies.map((policy) =>
      managed(flat(policy)),
    ),
    "A function behind a custom resource: it runs while the stack changes, and its failure fails the change.":
      [
        "AwsSolutions-L1",
        "AwsSolutions-SF1",
        "AwsSolutions-SF2",
        "Serverless-LambdaDLQ",
        "Serverless-LambdaDefaultMemorySize",
        "Serverless-LambdaLatestVersion",
        "Serverless-LambdaTracing",
        "Serverless-StepFunctionStateMachineXray",
      ],
  };
  for (const [reason, ids] of Object.entries(findings)) {
    Validations.of(scope).acknowledge(...ids.map((id) => ({ id, reason })));
  }
}

/** CDK lets its kubectl function read every asset: the charts are among them. */
export function acknowledgeAssetReads(scope: IConstruct, everyAsset: string): void {
  const reason = "How CDK grants reading the bucket of its assets.";
  for (const action of ["s3:GetObject*", "s3:GetBucket*", "s3:List*"]) {
    Validations.of(scope).acknowledge({ id: `AwsSolutions-IAM5[Action::${action}]`, reason });
  }
  acknowledgeWildcards(scope, reason, everyAsset);
}

function managed(policy: string): string {
  return `AwsSolutions-IAM4[Policy::${policy}]`;
}

function wildcard(resource: string): string {
  return `AwsSolutions-IAM5[Resource::${resource}]`;
}

/** As cdk-nag writes what refers to something: `<Resource.Attribute>`. */
function flat(value: unknown): string {
  if (typeof value === "string") return value;
  const [[intrinsic, of] = []] = Object.entries(value as object);
  switch (intrinsic) {
    case "Fn::Join":
      return of[1].map(flat).join(of[0]);
    case "Fn::GetAtt":
      return `<${of.join(".")}>`;
    case "Fn::ImportValue":
      return flat(of);
    case "Fn::Sub":
      return of.replaceAll("${", "<").replaceAll("}", ">");
    case "Ref":
      return `<${of}>`;
    default:
      return JSON.stringify(value);
  }
}
