import { describe, expect, it } from "vitest";

import { isTraced, tracingVariables } from "../lib/tracing.ts";
import { all, example, only, templateOf } from "./support/service.ts";

describe("traces", () => {
  it("go to X-Ray's endpoint of the region by default", () => {
    expect(tracingVariables(example("minimal"))).toEqual({
      OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://xray.us-west-2.amazonaws.com/v1/traces",
      OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
      OTEL_TRACES_SAMPLER_ARG: "0.05",
    });
  });

  it("are off in China unless they are enabled", () => {
    expect(isTraced(example("china"))).toBe(false);
    const enabled = example("china", ({ tracing }) => (tracing.enabled = true));
    expect(tracingVariables(enabled)["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"]).toBe(
      "https://xray.cn-northwest-1.amazonaws.com.cn/v1/traces",
    );
  });

  it("are sampled by API Gateway, which decides first: that share of the requests of each API", () => {
    const template = templateOf("full");
    const rules = Object.values(all(template, "AWS::XRay::SamplingRule")).map(
      ({ SamplingRule }) => SamplingRule,
    );
    expect(rules.map(({ RuleName, FixedRate }) => [RuleName, FixedRate])).toEqual([
      ["studio-tasks", 0.1],
      ["studio-comfy", 0.1],
    ]);
    const [api] = only(template, "AWS::ApiGateway::RestApi", { Name: "studio-comfy" });
    expect(JSON.stringify(rules[1].ResourceARN)).toContain(`/restapis/",{"Ref":"${api}"},"/stages/`);
  });

  it("are recorded by nobody where they are disabled", () => {
    const template = templateOf("full", ({ tracing }) => (tracing.enabled = false));
    expect(JSON.stringify(template.toJSON())).not.toMatch(/OTEL_|AWS::XRay::SamplingRule/);
  });
});
