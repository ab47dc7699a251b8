import { RemovalPolicy, Validations, aws_apigateway as apigateway, aws_logs as logs } from "aws-cdk-lib";
import type { Construct } from "constructs";

import { accessLogFormat } from "./access-log.ts";
import type { RustFunction } from "./rust-function.ts";

/** What an account may have at most, of requests per second and at once (API Gateway quotas). */
export const ACCOUNT_RATE = 10_000;
export const ACCOUNT_BURST = 5_000;

export interface LoggedRestApiProps extends Omit<apigateway.RestApiProps, "deployOptions"> {
  /** The name of the API, and of its log group below `/aws/apigateway/`. */
  name: string;
  /** How often the stage may be called. */
  stage: apigateway.StageOptions;
}

/** A regional REST API with one stage, a trace and a log line for each request. */
export class LoggedRestApi extends apigateway.RestApi {
  constructor(scope: Construct, id: string, { name, stage, ...props }: LoggedRestApiProps) {
    const accessLogs = new logs.LogGroup(scope, `${id}AccessLogs`, {
      logGroupName: `/aws/apigateway/${name}`,
      retention: logs.RetentionDays.ONE_MONTH,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    super(scope, id, {
      ...props,
      restApiName: name,
      endpointTypes: [apigateway.EndpointType.REGIONAL],
      deployOptions: {
        ...stage,
        // As the predecessors' stage, so that only the host of a client's URL changes.
        stageName: "prod",
        tracingEnabled: true,
        accessLogDestination: new apigateway.LogGroupLogDestination(accessLogs),
        accessLogFormat,
      },
    });
    // CDK's own output of the address; the stack names it better.
    this.node.tryRemoveChild("Endpoint");
    Validations.of(this).acknowledge(
      {
        id: "AwsSolutions-APIG3",
        reason:
          "A web ACL is the account's to choose; clients are programs with keys, each bounded by its usage plan.",
      },
      {
        id: "AwsSolutions-APIG6",
        reason:
          "The access log has a line per request with what failed; execution logs would repeat it in a log group " +
          "that no stack owns.",
      },
    );
  }
}

/** The whole request to the function; the console's "test" button has no business there. */
export function integration(handler: RustFunction): apigateway.LambdaIntegration {
  return new apigateway.LambdaIntegration(handler, { allowTestInvoke: false });
}
