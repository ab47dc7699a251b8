import { RemovalPolicy, Validations, aws_apigateway as apigateway } from "aws-cdk-lib";
import type { Construct } from "constructs";

import type { Config } from "./config/types.ts";
import { ApiKeys } from "./api-keys.ts";
import { ACCOUNT_BURST, ACCOUNT_RATE, integration, LoggedRestApi } from "./rest-api.ts";
import type { RustFunction } from "./rust-function.ts";

/** Of each of these paths all callers together get this much of the function. */
const PUBLIC_LIMIT = { throttlingRateLimit: 5, throttlingBurstLimit: 10 };
/** The page of the console loads about 20 files at once, and then keeps them. */
const FILES_LIMIT = { throttlingRateLimit: 50, throttlingBurstLimit: 100 };

/**
 * What is answered without a key: health checks, for monitors that can send no headers, the description of `v1`, and the
 * console, which sends the key of its user with each call of `v1`.
 */
const PUBLIC = {
  healthz: PUBLIC_LIMIT,
  "openapi.json": PUBLIC_LIMIT,
  docs: PUBLIC_LIMIT,
  console: PUBLIC_LIMIT,
  "console/{version}/{file}": FILES_LIMIT,
};

export interface SubmitRestApiProps {
  config: Config;
  function: RustFunction;
}

/** The REST API of tasks: who may send what, and how often. */
export class SubmitRestApi extends LoggedRestApi {
  readonly keys: ApiKeys;

  constructor(scope: Construct, id: string, { config, function: handler }: SubmitRestApiProps) {
    const { name, api } = config;
    super(scope, id, {
      name: `${name}-front-door`,
      description: "Takes tasks for Stable Diffusion runtimes",
      // API Gateway writes logs with one role per account and region. This one replaces whichever was there and can do
      // the same, for every API; it stays when the stack goes, since other APIs may have come to need it.
      cloudWatchRole: true,
      cloudWatchRoleRemovalPolicy: RemovalPolicy.RETAIN,
      stage: {
        // All keys together; the usage plan bounds each.
        throttlingRateLimit: Math.min(api.ratePerSecond * api.keys.length, ACCOUNT_RATE),
        throttlingBurstLimit: Math.min(api.burst * api.keys.length, ACCOUNT_BURST),
        methodOptions: Object.fromEntries(
          Object.entries(PUBLIC).map(([path, limit]) => [`/${path}/GET`, limit]),
        ),
      },
    });

    this.addTaskPaths(handler);
    this.addV1(handler);
    this.addPublicPaths(handler);
    this.answerInOneShape();
    this.keys = new ApiKeys(this, "Keys", { config, stage: this.deploymentStage });
    this.acknowledge();
  }

  /**
   * `POST` with a key. The gateway refuses what cannot be a task, before it costs an invocation; the function names
   * everything that is wrong with the rest. A body of another Content-Type passes to the function as it is, since no
   * model is found for it (API Gateway developer guide, "request validation"): predecessors took any.
   */
  private addTaskPaths(handler: RustFunction): void {
    const requestValidator = this.addRequestValidator("Validator", {
      validateRequestBody: true,
      validateRequestParameters: true,
    });
    const object = this.addModel("Object", {
      contentType: "application/json",
      schema: { schema: apigateway.JsonSchemaVersion.DRAFT4, type: apigateway.JsonSchemaType.OBJECT },
    });
    for (const version of ["v1alpha1", "v1alpha2"]) {
      this.root.addResource(version).addMethod("POST", integration(handler), {
        apiKeyRequired: true,
        requestValidator,
        requestModels: { "application/json": object },
      });
    }
  }

  /**
   * Everything below `/v1/`, with a key. The function knows paths and methods; `{proxy+}` stands for whole segments, so
   * `/v1alpha1` is not below it. Where tasks are not recorded the function answers 501, which says more than the gateway's
   * 403 for an unknown path.
   */
  private addV1(handler: RustFunction): void {
    const below = this.root.addResource("v1").addResource("{proxy+}");
    below.addMethod("ANY", integration(handler), { apiKeyRequired: true });
  }

  private addPublicPaths(handler: RustFunction): void {
    for (const path of Object.keys(PUBLIC)) {
      this.root.resourceForPath(path).addMethod("GET", integration(handler));
    }
  }

  /** What the gateway refuses itself looks as if the function had. 403 and 429 stay what clients of every API know. */
  private answerInOneShape(): void {
    const refuse = (
      type: apigateway.ResponseType,
      status: number,
      title: string,
      code: string,
      detail: string,
    ) =>
      this.addGatewayResponse(`Refusal-${code}`, {
        type,
        statusCode: String(status),
        responseHeaders: { "Content-Type": "'application/problem+json'" },
        templates: {
          "application/json": JSON.stringify({
            type: "about:blank",
            title,
            status,
            code,
            detail,
            violations: [],
          }),
        },
      });
    const { BAD_REQUEST_BODY, REQUEST_TOO_LARGE } = apigateway.ResponseType;
    refuse(BAD_REQUEST_BODY, 400, "Bad Request", "invalid_body", "the body is no JSON object");
    refuse(REQUEST_TOO_LARGE, 413, "Payload Too Large", "body_too_large", "the body is larger than is read");
  }

  private acknowledge(): void {
    Validations.of(this).acknowledge(
      ...["AwsSolutions-APIG4", "AwsSolutions-COG4"].map((id) => ({
        id,
        reason:
          "Predecessors' clients send an API key and nothing else. What is public changes nothing, and is the same for everybody.",
      })),
    );
    const role = this.node.tryFindChild("CloudWatchRole");
    if (role) {
      Validations.of(role).acknowledge({
        id: "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]",
        reason: "The account's one role for the logs of all its APIs, so it cannot be limited to this one's.",
      });
    }
  }
}
