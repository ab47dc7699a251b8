import { describe, expect, it } from "vitest";

import { valuesOf } from "./helm.ts";
import { all, EXAMPLES, example, release, synth } from "./support.ts";

describe("in China", () => {
  const { template } = synth(example("china"));
  const text = JSON.stringify(template.toJSON());

  it("no ARN is of another partition", () => {
    expect(text).not.toContain("arn:aws:");
    expect(text).toContain('{"Ref":"AWS::Partition"}');
  });

  it("nothing is fetched from hosts that are slow or closed there", () => {
    expect(text).not.toMatch(/public\.ecr\.aws|ghcr\.io|github\.io|docker\.io|quay\.io|nvcr\.io/);
  });

  it("images come from the account's registry, under its domain there", () => {
    const { runtime, worker } = valuesOf(
      all(template)[release(template, "sdruntime")[0]],
      "aws-cn",
      "cn-northwest-1",
    );
    const registry = "111122223333.dkr.ecr.cn-northwest-1.amazonaws.com.cn/darkroom";
    expect([runtime.image, worker.image]).toEqual([`${registry}/sdwebui:0.1.0`, `${registry}/worker:0.1.0`]);
    expect(worker.queueUrl).toBe(
      "https://sqs.cn-northwest-1.amazonaws.com.cn/111122223333/darkroom-sdruntime",
    );
  });
});

it.each(EXAMPLES)("%s names no partition, so that it goes for all of them", (name) => {
  // But for what the file itself names.
  const config = example(name, ({ cluster }) => (cluster.administrators = []));
  expect(JSON.stringify(synth(config).template.toJSON())).not.toMatch(/arn:aws(-cn|-us-gov)?:/);
});
