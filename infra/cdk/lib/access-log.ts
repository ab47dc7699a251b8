import { aws_apigateway as apigateway } from "aws-cdk-lib";

/** A line of JSON per request: never the key, the query string or the body. */
export const accessLogFormat = apigateway.AccessLogFormat.custom(
  JSON.stringify({
    requestId: "$context.requestId",
    time: "$context.requestTime",
    sourceIp: "$context.identity.sourceIp",
    // The key's id, not the key.
    apiKeyId: "$context.identity.apiKeyId",
    method: "$context.httpMethod",
    path: "$context.path",
    status: "$context.status",
    // Why the gateway itself refused: INVALID_API_KEY, THROTTLED, BAD_REQUEST_BODY, …
    refusal: "$context.error.responseType",
    integrationStatus: "$context.integration.status",
    integrationError: "$context.integration.error",
    functionRequestId: "$context.integration.requestId",
    latencyMs: "$context.responseLatency",
    functionLatencyMs: "$context.integration.latency",
    traceId: "$context.xrayTraceId",
  }),
);
