import {
  type Duration,
  RemovalPolicy,
  Validations,
  aws_iam as iam,
  aws_lambda as lambda,
  aws_logs as logs,
} from "aws-cdk-lib";
import type { Construct } from "constructs";

export interface RustFunctionProps {
  functionName: string;
  description: string;
  /** A zip with the program `bootstrap`, built for arm64. */
  code: lambda.Code;
  memorySize: number;
  timeout: Duration;
  environment: Record<string, string>;
  /** Absent: whatever the account has left. */
  reservedConcurrentExecutions?: number;
}

/** A Lambda function in Rust, with logs of its own, tracing, and a role that may write to both and nothing else. */
export class RustFunction extends lambda.Function {
  constructor(scope: Construct, id: string, props: RustFunctionProps) {
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
      architecture: lambda.Architecture.ARM_64,
      handler: "bootstrap",
      role,
      logGroup,
      loggingFormat: lambda.LoggingFormat.JSON,
      tracing: lambda.Tracing.ACTIVE,
    });

    Validations.of(role).acknowledge({
      id: "AwsSolutions-IAM5[Resource::*]",
      reason: "X-Ray has no resources that a policy could name.",
    });
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
