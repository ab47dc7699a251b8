// The list of metrics (lib/metrics.ts) and the table that the programs are held to.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { OF_RUNTIMES, OF_THE_DEPLOYMENT } from "../../lib/metrics.ts";
import type { Json } from "../support/service.ts";
import { stacks } from "./stacks.ts";

const PAGE = fileURLToPath(new URL("../../../../docs/observability.md", import.meta.url));

/** The rows of the document: unit and dimensions of a metric, by its name. */
const documented = Object.fromEntries(
  [...readFileSync(PAGE, "utf8").matchAll(/^\| `(\w+)` <!--cloudwatch--> \| (\w+) \|(.*?)\|/gm)].map(
    ([, name, unit, dimension]) => [name, [unit, dimension!.trim()]],
  ),
);
const rows = (metrics: Record<string, string>, dimension: string) =>
  Object.entries(metrics).map(([name, unit]) => [name, [unit, dimension]]);

it("is the table of docs/observability.md", () => {
  expect(documented).toEqual(
    Object.fromEntries([...rows(OF_RUNTIMES, "`runtime`"), ...rows(OF_THE_DEPLOYMENT, "")]),
  );
});

it("has every metric that a dashboard or an alarm names, with its dimension", () => {
  const templates = stacks().map((template) => template.toJSON());
  const text = JSON.stringify(templates).replaceAll('\\"', '"');
  const inDashboards = [
    ...text.matchAll(/\["Darkroom\/studio","(\w+)"(,"runtime","(?:sdruntime|comfyui)")?/g),
  ].map(([, name, runtime]) => [name!, runtime ? "`runtime`" : ""]);
  const inAlarms = metricsIn(templates)
    .filter(({ Namespace }) => Namespace === "Darkroom/studio")
    .map(({ MetricName, Dimensions }) => [MetricName, Dimensions?.[0].Name === "runtime" ? "`runtime`" : ""]);
  expect(inDashboards.length).toBeGreaterThan(20);
  expect(inAlarms.length).toBeGreaterThan(5);
  for (const [name, dimension] of [...inDashboards, ...inAlarms])
    expect(documented[name]?.[1], name).toBe(dimension);
});

/** Every part of a template that names a metric. */
function metricsIn(value: Json): Json[] {
  if (typeof value !== "object" || value === null) return [];
  const below = Object.values(value).flatMap(metricsIn);
  return "MetricName" in value ? [value, ...below] : below;
}
