import { describe, expect, it } from "vitest";

import { all, only, templateOf, type Json } from "./support/service.ts";

const template = templateOf("full");
const [api, restApi] = only(template, "AWS::ApiGateway::RestApi", { Name: "studio-front-door" });
const ofApi = { RestApiId: { Ref: api } };
const [, stage] = only(template, "AWS::ApiGateway::Stage", ofApi);

function method(path: string): Json {
  const [resource] = only(template, "AWS::ApiGateway::Resource", { PathPart: path, ...ofApi });
  return only(template, "AWS::ApiGateway::Method", { ResourceId: { Ref: resource } })[1];
}

describe.each(["v1alpha1", "v1alpha2"])("/%s", (path) => {
  it("is POST with a key, to the function", () => {
    expect(method(path)).toMatchObject({
      HttpMethod: "POST",
      ApiKeyRequired: true,
      Integration: { Type: "AWS_PROXY" },
    });
  });

  it("has bodies that say they are JSON checked to be an object, and takes all others as they are", () => {
    const [validator] = only(template, "AWS::ApiGateway::RequestValidator", {
      ValidateRequestBody: true,
      ValidateRequestParameters: true,
    });
    const [model, { ContentType, Schema }] = only(template, "AWS::ApiGateway::Model");
    expect(method(path)).toMatchObject({
      RequestValidatorId: { Ref: validator },
      RequestModels: { "application/json": { Ref: model } },
    });
    expect(Object.keys(method(path).RequestModels)).toEqual(["application/json"]);
    expect(ContentType).toBe("application/json");
    expect(Schema).toEqual({ $schema: "http://json-schema.org/draft-04/schema#", type: "object" });
  });
});

it("passes everything below /v1/ with a key to the function, and nothing of other versions", () => {
  expect(method("{proxy+}")).toMatchObject({
    HttpMethod: "ANY",
    ApiKeyRequired: true,
    Integration: { Type: "AWS_PROXY" },
  });
  const [v1, { ParentId }] = only(template, "AWS::ApiGateway::Resource", { PathPart: "v1" });
  expect(ParentId).toHaveProperty(["Fn::GetAtt", 1], "RootResourceId");
  const [, below] = only(template, "AWS::ApiGateway::Resource", { PathPart: "{proxy+}", ...ofApi });
  expect(below.ParentId).toEqual({ Ref: v1 });
});

it("has the same paths where tasks are not recorded: the function says so", () => {
  const without = templateOf("full", ({ records }) => (records.enabled = false));
  const paths = (of: typeof template) =>
    Object.values(all(of, "AWS::ApiGateway::Resource")).map(({ PathPart }) => PathPart);
  expect(paths(without)).toEqual(paths(template));
});

it.each(["healthz", "openapi.json", "docs", "console"])(
  "answers /%s without a key, a few times a second",
  (path) => {
    expect(method(path).HttpMethod).toBe("GET");
    expect(method(path)).not.toHaveProperty("ApiKeyRequired");
    expect(stage.MethodSettings).toContainEqual(
      expect.objectContaining({ HttpMethod: "GET", ResourcePath: `/~1${path}`, ThrottlingRateLimit: 5 }),
    );
  },
);

it("answers for the files of the console without a key, and often enough for a page to load them", () => {
  expect(method("{file}").HttpMethod).toBe("GET");
  expect(method("{file}")).not.toHaveProperty("ApiKeyRequired");
  expect(stage.MethodSettings).toContainEqual(
    expect.objectContaining({ ResourcePath: "/~1console~1{version}~1{file}", ThrottlingBurstLimit: 100 }),
  );
});

it("lets the gateway call the function on these paths of its stage only", () => {
  const sources = Object.values(all(template, "AWS::Lambda::Permission"))
    .map(({ SourceArn }) => SourceArn["Fn::Join"][1])
    .filter((parts) => JSON.stringify(parts).includes(`{"Ref":"${api}"}`))
    .map((parts) => parts.at(-1) as string);
  expect(sources.sort()).toEqual([
    "/*/v1/*",
    "/GET/console",
    "/GET/console/*/*",
    "/GET/docs",
    "/GET/healthz",
    "/GET/openapi.json",
    "/POST/v1alpha1",
    "/POST/v1alpha2",
  ]);
});

describe("what the gateway refuses itself", () => {
  it.each([
    ["BAD_REQUEST_BODY", 400, "invalid_body"],
    ["REQUEST_TOO_LARGE", 413, "body_too_large"],
  ])("%s looks as the front door's own refusals", (type, status, code) => {
    const [, refusal] = only(template, "AWS::ApiGateway::GatewayResponse", { ...ofApi, ResponseType: type });
    expect(refusal).toMatchObject({
      StatusCode: String(status),
      ResponseParameters: { "gatewayresponse.header.Content-Type": "'application/problem+json'" },
    });
    const body = JSON.parse(refusal.ResponseTemplates["application/json"]);
    expect(Object.keys(body)).toEqual(["type", "title", "status", "code", "detail", "violations"]);
    expect(body).toMatchObject({ type: "about:blank", status, code, violations: [] });
  });

  it("stays what it is for 403 and 429, which predecessors' clients know", () => {
    expect(
      Object.keys(template.findResources("AWS::ApiGateway::GatewayResponse", { Properties: ofApi })),
    ).toHaveLength(2);
  });
});

describe("the stage", () => {
  it("is named as the predecessors', traced, and bounds all keys together", () => {
    expect(stage).toMatchObject({ StageName: "prod", TracingEnabled: true });
    expect(stage.MethodSettings).toContainEqual(
      expect.objectContaining({ ResourcePath: "/*", ThrottlingRateLimit: 40, ThrottlingBurstLimit: 80 }),
    );
  });

  it("asks for no more than an account may have", () => {
    const [, { MethodSettings }] = only(
      templateOf("full", ({ api }) => Object.assign(api, { ratePerSecond: 9000, burst: 4000 })),
      "AWS::ApiGateway::Stage",
      ofApi,
    );
    expect(MethodSettings).toContainEqual(
      expect.objectContaining({ ResourcePath: "/*", ThrottlingRateLimit: 10000, ThrottlingBurstLimit: 5000 }),
    );
  });

  it("logs a line of JSON per request, without key, query string or body", () => {
    const [logs, group] = only(template, "AWS::Logs::LogGroup", {
      LogGroupName: "/aws/apigateway/studio-front-door",
    });
    expect(stage.AccessLogSetting.DestinationArn).toEqual({ "Fn::GetAtt": [logs, "Arn"] });
    expect(group.RetentionInDays).toBe(30);
    const fields = Object.values<string>(JSON.parse(stage.AccessLogSetting.Format));
    expect(fields).toContain("$context.requestId");
    expect(fields).toContain("$context.identity.apiKeyId");
    const secret = /apiKey$|querystring|body|header|input|authorizer/i;
    expect(fields.filter((field) => secret.test(field))).toEqual([]);
  });
});

it("leaves the role for API Gateway's logs to the account", () => {
  const [account] = Object.values(template.findResources("AWS::ApiGateway::Account"));
  const role = account?.["Properties"].CloudWatchRoleArn["Fn::GetAtt"][0];
  expect(account?.["DeletionPolicy"]).toBe("Retain");
  expect(template.findResources("AWS::IAM::Role")[role]).toMatchObject({ DeletionPolicy: "Retain" });
});

it("is regional, as in every partition", () => {
  expect(restApi.EndpointConfiguration).toEqual({ Types: ["REGIONAL"] });
});
