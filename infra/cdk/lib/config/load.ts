// From a file to a configuration that may be built, or to everything that is wrong with it.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";
import { LineCounter, parseDocument } from "yaml";

import { partitionOf, rules } from "./rules.ts";
import type { Config } from "./types.ts";

const SCHEMA = fileURLToPath(new URL("../../../config.schema.json", import.meta.url));

/** What is wrong with a file: one line per fault, each with the place in the file. */
export class ConfigError extends Error {
  constructor(
    readonly file: string,
    readonly faults: string[],
  ) {
    super([`${file} cannot be deployed:`, ...faults.map((fault) => `  ${fault}`)].join("\n"));
    this.name = "ConfigError";
  }
}

/** Reads and checks a file. Throws a `ConfigError` that names every fault, before anything is built or called. */
export function load(file: string): Config {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(file, [`it cannot be read: ${(error as Error).message}`]);
  }
  return parse(text, file);
}

/** The same for a text. */
export function parse(text: string, file = "the configuration"): Config {
  const document = parseDocument(text, { lineCounter: new LineCounter() });
  if (document.errors.length > 0) {
    throw new ConfigError(
      file,
      document.errors.map((error) => error.message.split("\n")[0] ?? ""),
    );
  }
  const config: unknown = document.toJS() ?? {};
  const validate = validator();
  if (!validate(config)) {
    throw new ConfigError(file, (validate.errors ?? []).filter(worthSaying).map(say));
  }
  const checked = config as Config;
  checked.partition ??= partitionOf(checked.region);
  const faults = rules(checked);
  if (faults.length > 0) throw new ConfigError(file, faults);
  return checked;
}

/** The schema as a function, which also fills in the defaults that the schema names. */
function validator() {
  const ajv = new Ajv2020({ allErrors: true, useDefaults: true, strict: true, strictRequired: false });
  return ajv.compile<Config>(JSON.parse(readFileSync(SCHEMA, "utf8")));
}

function worthSaying(error: ErrorObject): boolean {
  return error.keyword !== "if";
}

function say(error: ErrorObject): string {
  const place = error.instancePath.slice(1).replaceAll("/", ".") || "the file";
  switch (error.keyword) {
    case "additionalProperties":
      return `${place}: does not know \`${error.params["additionalProperty"]}\``;
    case "required":
      return `${place}: lacks \`${error.params["missingProperty"]}\``;
    case "enum":
      return `${place}: must be one of ${(error.params["allowedValues"] as string[]).join(", ")}`;
    case "pattern":
      return `${place}: must look like ${error.params["pattern"]}`;
    default:
      return `${place}: ${error.message}`;
  }
}
