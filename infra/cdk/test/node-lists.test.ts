import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { unzipSync, strFromU8 } from "fflate";
import { expect, it } from "vitest";

import { ConfigError, load } from "../lib/config/load.ts";
import { packageWith } from "../lib/function-package.ts";
import { nodeLists, withNodeLists } from "../lib/node-lists.ts";
import { FUNCTIONS } from "./support/service.ts";

const OBJECT_INFO = '{"KSampler": {"input": {"max": Infinity}, "output": ["LATENT"], "output_node": false}}';
const YAML = `region: us-west-2
modelBucket: my-company-models
runtimes:
  - { name: plain, type: comfyui }
  - { name: listed, type: comfyui, nodes: { file: object_info.json } }
`;

function folderWith(list: string | undefined): string {
  const folder = mkdtempSync(join(tmpdir(), "nodes-"));
  writeFileSync(join(folder, "config.yaml"), YAML);
  if (list !== undefined) writeFileSync(join(folder, "object_info.json"), list);
  return join(folder, "config.yaml");
}

it("are in the function's zip, and the registry names them", () => {
  const config = load(folderWith(OBJECT_INFO));
  const zip = readFileSync(packageWith(join(FUNCTIONS, "api-lambda.zip"), nodeLists(config)));
  expect(strFromU8(unzipSync(zip)["nodes-listed.json"]!)).toBe(OBJECT_INFO);
  expect(withNodeLists(config, [{ name: "plain" }, { name: "listed" }])).toEqual([
    { name: "plain" },
    { name: "listed", nodes_file: "nodes-listed.json" },
  ]);
});

it.each([
  ["is missing", undefined, "ENOENT"],
  ["is cut off", '{"KSampler": {', "cannot be read as JSON"],
  ["is empty", "{}", "is not an answer of ComfyUI's /object_info"],
  ["is another answer", '{"error": "no"}', "is not an answer of ComfyUI's /object_info"],
])("are refused where the file %s", (_, list, fault) => {
  const file = folderWith(list);
  expect(() => load(file)).toThrow(ConfigError);
  expect(() => load(file)).toThrow(/runtimes\.1\.nodes\.file: /);
  expect(() => load(file)).toThrow(fault);
});
