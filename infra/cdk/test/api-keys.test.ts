import { describe, expect, it } from "vitest";

import { all, only, templateOf } from "./support/service.ts";

const template = templateOf("full");
const [plan, { Throttle, Quota, ApiStages }] = only(template, "AWS::ApiGateway::UsagePlan");

describe("the usage plan", () => {
  it("bounds each key by the configuration", () => {
    expect(Throttle).toEqual({ RateLimit: 20, BurstLimit: 40 });
    expect(Quota).toEqual({ Limit: 100000, Period: "DAY" });
  });

  it("has no quota where none is wanted", () => {
    expect(only(templateOf("minimal"), "AWS::ApiGateway::UsagePlan")[1]).not.toHaveProperty("Quota");
  });

  it("is for the stages of both APIs", () => {
    const stages = ["studio-front-door", "studio-comfy"].map((Name) => {
      const [api] = only(template, "AWS::ApiGateway::RestApi", { Name });
      const [stage] = only(template, "AWS::ApiGateway::Stage", { RestApiId: { Ref: api } });
      return { ApiId: { Ref: api }, Stage: { Ref: stage } };
    });
    expect(ApiStages).toMatchObject(stages);
  });
});

describe("the keys", () => {
  it("are those of the configuration, enabled, with values that API Gateway makes up", () => {
    const keys = Object.values(all(template, "AWS::ApiGateway::ApiKey"));
    expect(keys.map(({ Name, Enabled }) => ({ Name, Enabled }))).toEqual([
      { Name: "studio-shop", Enabled: true },
      { Name: "studio-newsroom", Enabled: true },
    ]);
    for (const key of keys) expect(key).not.toHaveProperty("Value");
  });

  it("are all in the plan", () => {
    const inPlan = Object.values(all(template, "AWS::ApiGateway::UsagePlanKey"));
    expect(inPlan.map(({ KeyId }) => KeyId.Ref).sort()).toEqual(
      Object.keys(all(template, "AWS::ApiGateway::ApiKey")).sort(),
    );
    for (const { UsagePlanId } of inPlan) expect(UsagePlanId).toEqual({ Ref: plan });
  });
});
