import { Validations, aws_apigateway as apigateway } from "aws-cdk-lib";
import type { Construct } from "constructs";

import type { ApiKeys } from "./api-keys.ts";
import { ComfyAuthorizer } from "./comfy-authorizer.ts";
import type { Config } from "./config/types.ts";
import { ACCOUNT_BURST, ACCOUNT_RATE, integration, LoggedRestApi } from "./rest-api.ts";
import type { RustFunction } from "./rust-function.ts";

/** The default ComfyUI, and each by its name. */
const ROOTS = ["api/v2/{proxy+}", "runtimes/{runtime}/api/v2/{proxy+}"];

export interface ComfyRestApiProps {
  config: Config;
  function: RustFunction;
  /** The keys of the API of tasks, which are the keys of this one. */
  keys: ApiKeys;
}

/**
 * The REST API for Comfy SDKs. An API of its own, since an API reads keys either from `x-api-key` or from an authorizer, and
 * clients of the API of tasks send the former.
 */
export class ComfyRestApi extends LoggedRestApi {
  constructor(scope: Construct, id: string, { config, function: handler, keys }: ComfyRestApiProps) {
    const name = `${config.name}-comfy`;
    super(scope, id, {
      name,
      description: "Comfy API v2 for ComfyUI runtimes",
      cloudWatchRole: false,
      apiKeySourceType: apigateway.ApiKeySourceType.AUTHORIZER,
      // Uploads are forms with files. Without this, API Gateway passes them as text and damages them.
      binaryMediaTypes: ["multipart/form-data"],
      stage: { throttlingRateLimit: ACCOUNT_RATE, throttlingBurstLimit: ACCOUNT_BURST },
    });
    const { authorizer } = new ComfyAuthorizer(this, "Authorizer", {
      functionName: `${name}-authorizer`,
      config,
    });
    const polls = ROOTS.map((path) => {
      const resource = this.root.resourceForPath(path);
      const options = { apiKeyRequired: true, authorizer };
      resource.addMethod("ANY", integration(handler), options);
      return resource.addMethod("GET", integration(handler), options);
    });
    // SDKs do not repeat a `GET` that is refused: a job that is polled would count as failed. So only the rest is throttled.
    const unlimited = { rateLimit: ACCOUNT_RATE, burstLimit: ACCOUNT_BURST };
    keys.plan.addApiStage({
      stage: this.deploymentStage,
      throttle: polls.map((method) => ({ method, throttle: unlimited })),
    });
    this.answerInEnvelopes();
    Validations.of(this).acknowledge(
      { id: "AwsSolutions-COG4", reason: "Comfy SDKs send an API key as a Bearer key and nothing else." },
      {
        id: "AwsSolutions-APIG2",
        reason: "The function validates each request, and names what is wrong with it.",
      },
    );
  }

  /** What API Gateway refuses itself has the envelope and the codes of Comfy API v2. */
  private answerInEnvelopes(): void {
    const { ResponseType: type } = apigateway;
    const unauthorized: Refusal = [401, "unauthorized", "the API key is missing or unknown"];
    const busy: Refusal = [429, "rate_limited", "too many requests"];
    this.refuse("Unauthorized", type.UNAUTHORIZED, ...unauthorized);
    this.refuse("AccessDenied", type.ACCESS_DENIED, ...unauthorized);
    this.refuse("InvalidApiKey", type.INVALID_API_KEY, ...unauthorized);
    this.refuse("UnknownPath", type.MISSING_AUTHENTICATION_TOKEN, 404, "not_found", "there is no such path");
    this.refuse("Throttled", type.THROTTLED, ...busy);
    this.refuse(
      "QuotaExceeded",
      type.QUOTA_EXCEEDED,
      429,
      "rate_limited",
      "the key has used its requests of the day",
    );
    this.refuse(
      "TooLarge",
      type.REQUEST_TOO_LARGE,
      413,
      "payload_too_large",
      "the body is larger than is read",
    );
    this.refuse(
      "Failed",
      type.DEFAULT_5XX,
      500,
      "upstream_error",
      "the service does not respond; look for the job first",
    );
  }

  private refuse(id: string, type: apigateway.ResponseType, ...[status, code, message]: Refusal): void {
    this.addGatewayResponse(`Refusal${id}`, {
      type,
      statusCode: String(status),
      responseHeaders: {
        "Content-Type": "'application/json'",
        "X-Comfy-Request-Id": "context.requestId",
        // SDKs repeat a submission after whole seconds.
        ...(status === 429 && { "Retry-After": "'1'" }),
      },
      templates: { "application/json": JSON.stringify({ error: { code, message, details: null } }) },
    });
  }
}

type Refusal = [status: number, code: string, message: string];
