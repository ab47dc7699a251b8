import { describe, expect, it } from "vitest";

import { findings } from "./support/findings.ts";
import { example, synth, templateOf, type Json } from "./support/service.ts";

describe.each(["minimal", "full", "existing-cluster", "china"] as const)("the stack of %s", (name) => {
  const { stack, template } = synth(example(name));

  it("leaves no finding of cdk-nag without a reason", () => {
    expect(findings(stack)).toEqual([]);
  });

  it("names no partition, so that it is right in China too", () => {
    expect(JSON.stringify(template.toJSON())).not.toMatch(/arn:aws(-cn)?:/);
  });

  it("hands the queues over by their names, so that a runtime can be taken out of the configuration", () => {
    expect(Object.keys(stack.handover.queues)).toEqual(example(name).runtimes.map((runtime) => runtime.name));
    for (const [runtime, queue] of Object.entries(stack.handover.queues)) {
      expect(queue.queueName).toBe(`${example(name).name}-${runtime}`);
      expect(JSON.stringify(stack.resolve(queue.queueArn))).not.toContain("Fn::GetAtt");
    }
  });
});

it("outputs what its callers and operators need", () => {
  const outputs = templateOf("full").toJSON()["Outputs"] as Json;
  const named = Object.keys(outputs).filter((name) => !name.startsWith("ExportsOutput"));
  expect(named.sort()).toEqual([
    "ApiKeys",
    "ApiUrl",
    "ComfyUrl",
    "CompletionsTopicArn",
    "QueueUrls",
    "RecordsTable",
    "ResultsBucket",
    "TasksTopicArn",
  ]);
});

it("stays far below CloudFormation's 500 resources with the 40 runtimes that a configuration may have", () => {
  const template = templateOf("minimal", (config) => {
    const [runtime] = config.runtimes;
    config.runtimes = Array.from({ length: 40 }, (_, n) => ({
      ...runtime!,
      name: `runtime-${n}`,
      model: `model-${n}.ckpt`,
    }));
  });
  expect(Object.keys(template.toJSON()["Resources"]).length).toBeLessThan(500);
});
