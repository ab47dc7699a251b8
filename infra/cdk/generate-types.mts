// Writes lib/config/types.ts from the schema of the configuration; with --check only compares it.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { compile, type JSONSchema } from "json-schema-to-typescript";
import { format } from "prettier";

const TYPES = fileURLToPath(new URL("lib/config/types.ts", import.meta.url));
const INFRA = fileURLToPath(new URL("..", import.meta.url));

type Json = { [key: string]: Json } | Json[] | string | number | boolean | null;

async function types(schema: JSONSchema): Promise<string> {
  const compiled = await compile(schema, "Config", {
    cwd: INFRA,
    additionalProperties: false,
    bannerComment:
      "// Generated from config.schema.json (npm run generate): a configuration with all of its defaults.",
    ignoreMinAndMaxItems: true,
    unreachableDefinitions: false,
  });
  return `${compiled}
export type Partition = Config["partition"];
export type RuntimeType = Runtime["type"];
export type Purchase = Runtime["instances"]["purchase"];
export type ClusterConfig = Config["cluster"];
`;
}

/** The schema of a checked configuration: fields with a default are always there, and conditions are met. */
function checked(value: Json): Json {
  if (Array.isArray(value)) return value.map(checked);
  if (typeof value !== "object" || value === null) return value;
  const { allOf: _, if: __, then: ___, else: ____, description: _____, minItems: ______, ...rest } = value;
  const properties = rest["properties"];
  if (typeof properties === "object" && properties !== null && !Array.isArray(properties)) {
    const present = Object.entries(properties).filter(
      ([name, field]) => name === "partition" || hasDefault(field),
    );
    const required = [
      ...((rest["required"] as string[] | undefined) ?? []),
      ...present.map(([name]) => name),
    ];
    if (required.length > 0) rest["required"] = [...new Set(required)];
  }
  // Below `properties` and `$defs` stand names, not keywords.
  const below = (key: string, field: Json) =>
    key === "properties" || key === "$defs" ? mapped(field as { [name: string]: Json }) : checked(field);
  return Object.fromEntries(Object.entries(rest).map(([key, field]) => [key, below(key, field)]));
}

const mapped = (named: { [name: string]: Json }) =>
  Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, checked(schema)]));

const hasDefault = (field: Json) =>
  typeof field === "object" && field !== null && !Array.isArray(field) && "default" in field;

function options(): object {
  return JSON.parse(readFileSync(new URL(".prettierrc.json", import.meta.url), "utf8")) as object;
}

const schema = JSON.parse(readFileSync(`${INFRA}config.schema.json`, "utf8")) as { [key: string]: Json };
const text = await format(await types({ ...(checked(schema) as JSONSchema), title: "Config" }), {
  parser: "typescript",
  ...options(),
});
if (process.argv.includes("--check")) {
  if (readFileSync(TYPES, "utf8") !== text) {
    console.error("lib/config/types.ts differs from config.schema.json: npm run generate");
    process.exitCode = 1;
  }
} else {
  writeFileSync(TYPES, text);
}
