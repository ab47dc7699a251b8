import {
  type Duration,
  RemovalPolicy,
  Validations,
  aws_iam as iam,
  aws_lambda as lambda,
  aws_logs as logs,
} from "aws-cdk-lib";
import type { Construct } from "constructs";

import { architectureOf } from "./config/architecture.ts";
import type { Config } from "./config/types.ts";

export interface RustFunctionProps {
  config: Config;
  functionName: string;
  description: string;
  /** A zip with the program `bootstrap`, built for the processors of the configuration. */
  code: lambda.Code;
  memorySize: number;
  timeout: Duration;
  environment: Record<string, string>;
  /** Absent: whatever the account has left. */
  reservedConcurrentExecutions?: number;
}

/** A Lambda function in Rust, with logs of its own, tracing, and a role that may write to both and nothing else. */
export class RustFunction extends lambda.Function {
  constructor(scope: Construct, id: string, { config, ...props }: RustFunctionProps) {
    const logGroup = new logs.LogGroup(scope, `${id}Logs`, {
      logGroupName: `/aws/lambda/${props.functionName}`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // Not AWS's managed policy, which lets a function write to every log group of the account.
    const role = new iam.Role(scope, `${id}Role`, {
      assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com"),
    });
    logGroup.grantWrite(role);

    super(scope, id, {
      ...props,
      runtime: lambda.Runtime.PROVIDED_AL2023,
      architecture: architecture(config),
      handler: "bootstrap",
      role,
      logGroup,
      loggingFormat: lambda.LoggingFormat.JSON,
      // The documents for China list active tracing as not available.
      tracing: config.partition === "aws-cn" ? lambda.Tracing.PASS_THROUGH : lambda.Tracing.ACTIVE,
    });

    Validations.of(role).acknowledge({
      id: "AwsSolutions-IAM5[Resource::*]",
      reason: "X-Ray has no resources that a policy could name.",
    });
    if (config.partition === "aws-cn") {
      Validations.of(this).acknowledge({
        id: "Serverless-LambdaTracing",
        reason: "Active tracing is not available in China; the decision of the caller is passed through.",
      });
    }
    Validations.of(this).acknowledge(
      ...["Serverless-LambdaDLQ", "Serverless-LambdaAsyncFailureDestination"].map((id) => ({
        id,
        reason: "It is never called asynchronously: API Gateway and the queues' pollers wait for its answer.",
      })),
    );
  }

  /** One more thing that it is allowed to do. */
  may(action: string | string[], ...resources: string[]): void {
    this.addToRolePolicy(new iam.PolicyStatement({ actions: [action].flat(), resources }));
  }
}

/** The processors of the configuration, as CDK names them. */
export function architecture(config: Config): lambda.Architecture {
  return architectureOf(config) === "arm64" ? lambda.Architecture.ARM_64 : lambda.Architecture.X86_64;
}
