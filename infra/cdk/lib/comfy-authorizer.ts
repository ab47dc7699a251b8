import { fileURLToPath } from "node:url";

import {
  Duration,
  RemovalPolicy,
  Validations,
  aws_apigateway as apigateway,
  aws_iam as iam,
  aws_lambda as lambda,
  aws_logs as logs,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";
import { architecture } from "./rust-function.ts";

const HANDLER = fileURLToPath(new URL("./comfy-authorizer", import.meta.url));

/** What a Bearer key looks like; API Gateway answers 401 to anything else without calling the function. */
const BEARER = "^[Bb]earer [!-~]{20,128}$";

export interface ComfyAuthorizerProps {
  functionName: string;
  config: Config;
}

/** Takes the API key of a request from `Authorization: Bearer KEY`. */
export class ComfyAuthorizer extends Construct {
  readonly authorizer: apigateway.TokenAuthorizer;

  constructor(scope: Construct, id: string, { functionName, config }: ComfyAuthorizerProps) {
    super(scope, id);
    const logGroup = new logs.LogGroup(this, "Logs", {
      logGroupName: `/aws/lambda/${functionName}`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const role = new iam.Role(this, "Role", { assumedBy: new iam.ServicePrincipal("lambda.amazonaws.com") });
    logGroup.grantWrite(role);
    const handler = new lambda.Function(this, "Function", {
      functionName,
      description: "Returns the Bearer key of a request as its API key",
      runtime: lambda.determineLatestNodeRuntime(this),
      architecture: architecture(config),
      code: lambda.Code.fromAsset(HANDLER, { exclude: ["*.d.mts"] }),
      handler: "handler.authorize",
      memorySize: 256,
      timeout: Duration.seconds(5),
      role,
      logGroup,
      loggingFormat: lambda.LoggingFormat.JSON,
    });
    this.authorizer = new apigateway.TokenAuthorizer(this, "Authorizer", {
      handler,
      validationRegex: BEARER,
      // A client that polls costs one call per hour. A key that is deleted is refused at once: API Gateway looks it up itself.
      resultsCacheTtl: Duration.hours(1),
    });
    Validations.of(handler).acknowledge(
      ...[
        "AwsSolutions-L1",
        "Serverless-LambdaDLQ",
        "Serverless-LambdaAsyncFailureDestination",
        "Serverless-LambdaTracing",
        "Serverless-LambdaDefaultMemorySize",
        "Serverless-LambdaLatestVersion",
      ].map((id) => ({
        id,
        reason: "API Gateway waits for its answer, which takes no calls and is used for an hour.",
      })),
    );
  }
}
