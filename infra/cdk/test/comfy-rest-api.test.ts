import { describe, expect, it } from "vitest";

import { authorize } from "../lib/comfy-authorizer/handler.mjs";
import { all, only, templateOf, type Json } from "./support/service.ts";

const template = templateOf("full");
const [api, restApi] = only(template, "AWS::ApiGateway::RestApi", { Name: "studio-comfy" });
const ofApi = { RestApiId: { Ref: api } };
const methods = Object.values(template.findResources("AWS::ApiGateway::Method", { Properties: ofApi })).map(
  (method) => method["Properties"] as Json,
);

it("is there only where a ComfyUI is", () => {
  const names = Object.values(all(templateOf("minimal"), "AWS::ApiGateway::RestApi")).map(({ Name }) => Name);
  expect(names).toEqual(["darkroom-front-door"]);
});

it("has its address for SDKs in an output, which add a path to it", () => {
  const { ComfyUrl } = template.toJSON()["Outputs"] as Json;
  expect(JSON.stringify(ComfyUrl.Value)).toMatch(/\/prod"\]\]\}$/);
});

describe("its keys", () => {
  it("come from the authorizer, so that the API of tasks can read them from `x-api-key`", () => {
    const [authorizer] = only(template, "AWS::ApiGateway::Authorizer");
    expect(restApi.ApiKeySourceType).toBe("AUTHORIZER");
    expect(methods).toHaveLength(4);
    for (const method of methods) {
      expect(method).toMatchObject({
        ApiKeyRequired: true,
        AuthorizationType: "CUSTOM",
        AuthorizerId: { Ref: authorizer },
        Integration: { Type: "AWS_PROXY" },
      });
    }
    const [, tasks] = only(template, "AWS::ApiGateway::RestApi", { Name: "studio-front-door" });
    expect(tasks).not.toHaveProperty("ApiKeySourceType");
  });

  it("are those of the API of tasks; polls are not throttled, since SDKs do not repeat them", () => {
    const [, { ApiStages, Throttle }] = only(template, "AWS::ApiGateway::UsagePlan");
    expect(ApiStages).toHaveLength(2);
    const throttle = ApiStages[1].Throttle as Record<string, Json>;
    expect(Object.keys(throttle)).toEqual([
      "/api/v2/{proxy+}/GET",
      "/runtimes/{runtime}/api/v2/{proxy+}/GET",
    ]);
    for (const { RateLimit } of Object.values(throttle))
      expect(RateLimit).toBeGreaterThan(Throttle.RateLimit);
  });
});

it("passes files of forms as they are", () => {
  expect(restApi.BinaryMediaTypes).toEqual(["multipart/form-data"]);
});

it.each([
  ["UNAUTHORIZED", "401", "unauthorized"],
  ["ACCESS_DENIED", "401", "unauthorized"],
  ["INVALID_API_KEY", "401", "unauthorized"],
  ["MISSING_AUTHENTICATION_TOKEN", "404", "not_found"],
  ["THROTTLED", "429", "rate_limited"],
  ["QUOTA_EXCEEDED", "429", "rate_limited"],
  ["REQUEST_TOO_LARGE", "413", "payload_too_large"],
  ["DEFAULT_5XX", "500", "upstream_error"],
])("answers %s as Comfy API v2 does", (type, status, code) => {
  const [, refusal] = only(template, "AWS::ApiGateway::GatewayResponse", { ...ofApi, ResponseType: type });
  const body = JSON.parse(refusal.ResponseTemplates["application/json"]);
  expect(refusal.StatusCode).toBe(status);
  expect(body).toEqual({ error: { code, message: expect.any(String), details: null } });
  const retry = refusal.ResponseParameters["gatewayresponse.header.Retry-After"];
  expect(retry).toBe(status === "429" ? "'1'" : undefined);
});

describe("the authorizer", () => {
  const methodArn = "arn:aws:execute-api:us-west-2:111122223333:abc123/prod/GET/api/v2/jobs/1";
  const key = "0123456789abcdefghijKLMN";
  const [, { IdentityValidationExpression }] = only(template, "AWS::ApiGateway::Authorizer");

  it.each(["Bearer", "bearer"])(
    "returns the key after `%s` for every method of its stage",
    async (scheme) => {
      const authorizationToken = `${scheme} ${key}`;
      expect(authorizationToken).toMatch(new RegExp(IdentityValidationExpression));
      expect(await authorize({ authorizationToken, methodArn })).toEqual({
        principalId: "api-key",
        policyDocument: {
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Action: "execute-api:Invoke",
              Resource: "arn:aws:execute-api:us-west-2:111122223333:abc123/prod/*",
            },
          ],
        },
        usageIdentifierKey: key,
      });
    },
  );

  it.each([
    undefined,
    "",
    key,
    `Basic ${key}`,
    "Bearer ",
    "Bearer short",
    `Bearer ${key} more`,
    `Bearer ${"x".repeat(129)}`,
  ])("refuses %s", async (authorizationToken) => {
    await expect(authorize({ authorizationToken, methodArn })).rejects.toThrow(/^Unauthorized$/);
    expect(authorizationToken ?? "").not.toMatch(new RegExp(IdentityValidationExpression));
  });
});
