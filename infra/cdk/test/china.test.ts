import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import { example, FUNCTIONS, type Json, synth } from "./support/service.ts";
import { example as clusterExample, synth as clusterSynth } from "./cluster/support.ts";

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

/** What the documents for China list as not available, by the type of the resource (docs.amazonaws.cn, "Lambda"). */
const DENIED: Record<string, (properties: Json) => boolean> = {
  "AWS::Lambda::EventSourceMapping": ({ Tags }) => Tags !== undefined,
  "AWS::Lambda::Function": ({ Architectures, TracingConfig }) =>
    (Architectures ?? []).includes("arm64") || TracingConfig?.Mode === "Active",
};

const denied = (template: Json): string[] =>
  Object.entries<Json>(template.Resources)
    .filter(([, { Type, Properties }]) => DENIED[Type]?.(Properties ?? {}))
    .map(([id]) => id);

describe("in China", () => {
  const config = example("china");
  const { model: _, ...first } = config.runtimes[0]!;
  config.runtimes.push({ ...first, name: "comfyui", type: "comfyui" });
  const service = synth(config, { tagged: true }).template.toJSON();

  it("the stacks have nothing that is not available there", () => {
    expect(denied(service)).toEqual([]);
    expect(denied(clusterSynth(clusterExample("china")).template.toJSON())).toEqual([]);
  });

  it("nor has what the app makes, which is tagged, and in the zones that are handed over", () => {
    const out = mkdtempSync(join(tmpdir(), "china-"));
    const env = {
      ...process.env,
      DARKROOM_CONFIG: path("../../examples/china.yaml"),
      DARKROOM_FUNCTIONS: FUNCTIONS,
      DARKROOM_ZONES: "cn-northwest-1b,cn-northwest-1c",
      CDK_OUTDIR: out,
    };
    const args = ["--import", "tsx", "bin/app.ts"];
    const { status, stderr } = spawnSync(process.execPath, args, { cwd: path(".."), env, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    const [made, cluster] = ["service", "cluster"].map((stack): Json =>
      JSON.parse(readFileSync(join(out, `darkroom-${stack}.template.json`), "utf8")),
    );
    expect([denied(made), denied(cluster)]).toEqual([[], []]);
    expect(JSON.stringify(made)).toContain('{"Key":"darkroom:deployment","Value":"darkroom"}');
    expect(cluster.Outputs.Zones.Value).toBe("cn-northwest-1b,cn-northwest-1c");
  });

  it("everything else is tagged, and functions are built for x86_64", () => {
    expect(JSON.stringify(service)).toContain('{"Key":"darkroom:deployment","Value":"darkroom"}');
    const functions = Object.values<Json>(service.Resources).filter(
      ({ Type }) => Type === "AWS::Lambda::Function",
    );
    const named = functions.filter(({ Properties }) => Properties.FunctionName !== undefined);
    expect(named.map(({ Properties }) => Properties.Architectures)).toEqual([
      ["x86_64"],
      ["x86_64"],
      ["x86_64"],
    ]);
  });

  it("what is not available is found where it is used", () => {
    const elsewhere = synth(example("full"), { tagged: true }).template.toJSON();
    const types = new Set(denied(elsewhere).map((id) => elsewhere.Resources[id].Type));
    expect([...types].sort()).toEqual(Object.keys(DENIED).sort());
  });
});
