import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import { load, parse } from "../../lib/config/load.ts";
import { faultsOf } from "./faults.ts";

const examples = fileURLToPath(new URL("../../../examples/", import.meta.url));

const SMALLEST = `
region: us-west-2
modelBucket: my-models
runtimes:
  - name: sdruntime
    type: sdwebui
    model: v1-5.safetensors
`;

describe("the examples", () => {
  const files = [...readdirSync(examples).map((name) => examples + name), `${examples}../config.yaml`];
  it.each(files)("%s can be deployed", (file) => {
    expect(load(file).runtimes.length).toBeGreaterThan(0);
  });

  it("the smallest is six lines", () => {
    expect(readFileSync(`${examples}minimal.yaml`, "utf8").trim().split("\n")).toHaveLength(6);
  });

  it("the full one has every field of the schema", () => {
    const said = new Set(Object.keys(parse(readFileSync(`${examples}full.yaml`, "utf8"))));
    const schema = JSON.parse(readFileSync(`${examples}../config.schema.json`, "utf8")) as {
      properties: object;
    };
    expect(Object.keys(schema.properties).filter((field) => !said.has(field))).toEqual([]);
  });
});

describe("defaults", () => {
  it("stand in the configuration, down to the last field", () => {
    const config = parse(SMALLEST);
    expect(config).toMatchObject({
      name: "darkroom",
      partition: "aws",
      api: { keys: ["default"], ratePerSecond: 30, burst: 50, messageBytes: 262_144 },
      results: { lifetimeDays: 30, keepOnDestroy: true },
      cluster: { version: "1.35", identity: "pod-identity", install: { keda: true, karpenter: true } },
    });
    expect(config.runtimes[0]).toMatchObject({
      claimCheck: true,
      replicas: { min: 0, max: 10 },
      instances: { purchase: "spot-first" },
      deadlines: { run: 1800, drain: 90, grace: 110, visibility: 120 },
    });
  });

  it("are each runtime's own", () => {
    const [first, second] = parse(`${SMALLEST}  - { name: comfyui, type: comfyui }\n`).runtimes;
    first!.nodes.denied.push("Bad");
    expect(second!.nodes.denied).toEqual([]);
  });

  it("of the partition follow the region", () => {
    const china = `${SMALLEST}cluster: { charts: "oci://mirror" }\n`.replace("us-west-2", "cn-north-1");
    expect(parse(china).partition).toBe("aws-cn");
    expect(parse(SMALLEST.replace("us-west-2", "us-gov-west-1")).partition).toBe("aws-us-gov");
  });
});

describe("a file that cannot be deployed", () => {
  it("is refused with all of its faults at once, each with its place", () => {
    const faults = faultsOf(
      `${SMALLEST}    concurrency: 2\n  - { name: comfyui, type: fooocus }\ncolour: blue\n`,
    );
    expect(faults.toSorted()).toEqual([
      "runtimes.0.concurrency: SD WebUI runs one job at a time",
      expect.stringMatching(/^runtimes.1.type: must be one of .*sdwebui, comfyui/),
      "the file: does not know `colour`",
    ]);
    expect(() => load("no-such-file.yaml")).toThrow(
      /no-such-file.yaml cannot be deployed:\n {2}it cannot be read/,
    );
  });
});
