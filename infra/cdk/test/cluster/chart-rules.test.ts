// Helm users install the chart without the program that checks configurations, so the chart has rules of its own
// (`_rules.tpl`, `values.schema.json`). Both must refuse the same values.

import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";
import { parse as parseYaml } from "yaml";

import { ConfigError, parse } from "../../lib/config/load.ts";
import { render } from "./helm.ts";
import type { Json } from "./support.ts";

const chartFile = (name: string): Json =>
  parseYaml(readFileSync(new URL(`../../../chart/${name}`, import.meta.url), "utf8"));
const PRESET = chartFile("presets/comfyui.yaml");
const MINIMAL = chartFile("ci/sdwebui-minimal-values.yaml");
const SCHEDULE = { start: "0 8 * * *", end: "0 18 * * *", timezone: "Europe/Berlin", replicas: 1 };
const ON_DEMAND = { purchase: "on-demand" };

/** The fields that both have. `nodes` is the chart's name for a runtime's `instances`. */
interface Case {
  deadlines?: Json;
  replicas?: Json;
  scaling?: Json;
  nodes?: Json;
  imageCache?: Json;
  attempts?: number;
  concurrency?: number;
}

/** Whether the program accepts it. Anything but a `ConfigError` fails the test. */
function programAccepts({ deadlines, replicas, scaling, nodes, imageCache, attempts, concurrency }: Case) {
  const runtime = { name: "sdruntime", type: "comfyui" };
  const fields = { deadlines, replicas, scaling, instances: nodes, attempts, concurrency };
  const config = { region: "us-west-2", modelBucket: "my-company-models", imageCache };
  try {
    parse(JSON.stringify({ ...config, runtimes: [{ ...runtime, ...fields }] }));
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** Whether Helm renders it. Anything but a refusal by the chart's rules or schema fails the test. */
function chartAccepts({ deadlines, replicas, scaling, nodes, imageCache, attempts, concurrency }: Case) {
  const merged = {
    ...MINIMAL,
    runtime: { ...PRESET.runtime, image: MINIMAL.runtime.image },
    worker: { ...MINIMAL.worker, ...(attempts && { attempts }), ...(concurrency && { concurrency }) },
    nodes: { ...MINIMAL.nodes, ...nodes, ...(imageCache && { imageCache }) },
    ...(deadlines && { deadlines }),
    ...(replicas && { replicas }),
    ...(scaling && { scaling }),
  };
  try {
    render("sdruntime", "darkroom", merged);
    return true;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    if (
      /execution error at \(darkroom-runtime\/templates\/deployment\.yaml|don't meet the specifications of the schema/.test(
        stderr ?? "",
      )
    )
      return false;
    throw error;
  }
}

const accepted: Case[] = [
  {},
  { deadlines: { drain: 100, grace: 110 } },
  { deadlines: { grace: 120 } },
  { deadlines: { grace: 120 }, nodes: { purchase: "spot" } },
  { deadlines: { grace: 121 }, nodes: ON_DEMAND },
  { deadlines: { run: 42_000, visibility: 1_200 } },
  { deadlines: { run: 1, visibility: 43_199 } },
  { deadlines: { run: 42_000 } },
  { deadlines: { drain: 42_000, grace: 43_200 }, nodes: ON_DEMAND },
  { deadlines: { drain: 0, grace: 10 } },
  { deadlines: { visibility: 30 } },
  { deadlines: { startup: 60 } },
  { deadlines: { startup: 3_600 } },
  { replicas: { min: 3, max: 3 } },
  { replicas: { min: 1_000, max: 1_000 } },
  { replicas: { max: 2 }, scaling: { schedules: [{ ...SCHEDULE, replicas: 2 }] } },
  { scaling: { tasksPerReplica: 1_000, cooldownSeconds: 30 } },
  { scaling: { cooldownSeconds: 86_400 } },
  { attempts: 10 },
  { concurrency: 16 },
  { nodes: { volumeGiB: 40 } },
  { nodes: { volumeGiB: 9_999 } },
  { imageCache: { mode: "snapshot", snapshot: "snap-0123456789abcdef0", initializationRate: 300 } },
  { imageCache: { mode: "soci" } },
];

const refused: Case[] = [
  { deadlines: { drain: 101, grace: 110 } },
  { deadlines: { grace: 121 } },
  { deadlines: { grace: 121 }, nodes: { purchase: "spot" } },
  { deadlines: { run: 42_000, visibility: 1_201 } },
  { deadlines: { run: 2, visibility: 43_199 } },
  { deadlines: { run: 42_001 } },
  { deadlines: { run: 0 } },
  { deadlines: { drain: 42_001, grace: 43_200 }, nodes: ON_DEMAND },
  { deadlines: { drain: 0, grace: 9 } },
  { deadlines: { grace: 43_201 }, nodes: ON_DEMAND },
  { deadlines: { visibility: 29 } },
  { deadlines: { visibility: 43_201 } },
  { deadlines: { startup: 59 } },
  { deadlines: { startup: 3_601 } },
  { replicas: { min: 4, max: 3 } },
  { replicas: { min: 0, max: 0 } },
  { replicas: { max: 1_001 } },
  { replicas: { max: 2 }, scaling: { schedules: [{ ...SCHEDULE, replicas: 3 }] } },
  { scaling: { schedules: [{ ...SCHEDULE, end: SCHEDULE.start }] } },
  { scaling: { schedules: [{ ...SCHEDULE, start: "0 8 * *" }] } },
  { scaling: { tasksPerReplica: 1_001 } },
  { scaling: { cooldownSeconds: 29 } },
  { scaling: { cooldownSeconds: 86_401 } },
  { attempts: 11 },
  { concurrency: 17 },
  { nodes: { volumeGiB: 39 } },
  { nodes: { volumeGiB: 10_000 } },
  { imageCache: { mode: "snapshot" } },
  { imageCache: { mode: "soci", snapshot: "snap-0123456789abcdef0" } },
  { imageCache: { mode: "soci", initializationRate: 200 } },
  { imageCache: { mode: "snapshot", snapshot: "snap-0123456789abcdef0", initializationRate: 301 } },
];

describe.each([
  { verdict: "accept", cases: accepted, expected: true },
  { verdict: "refuse", cases: refused, expected: false },
])("the program and the chart $verdict", ({ cases, expected }) => {
  it.each(cases.map((one) => ({ text: JSON.stringify(one), one })))("$text", ({ one }) => {
    expect({ program: programAccepts(one), chart: chartAccepts(one) }).toEqual({
      program: expected,
      chart: expected,
    });
  });
});
