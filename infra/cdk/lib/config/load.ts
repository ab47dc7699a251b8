// From a file to a configuration that may be built, or to everything that is wrong with it.

import { dirname, resolve } from "node:path";

import { faultOf } from "../node-lists.ts";
import { type Answer, runConfigProgram } from "./program.ts";
import type { Config } from "./types.ts";

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
  return withNodeFiles(file, checked(file, runConfigProgram(["check", file])));
}

/** The configuration with absolute paths of node lists. Throws a `ConfigError` for a list that cannot be used. */
function withNodeFiles(file: string, config: Config): Config {
  const faults: string[] = [];
  config.runtimes.forEach(({ nodes }, n) => {
    if (nodes.file === undefined) return;
    nodes.file = resolve(dirname(file), nodes.file);
    const fault = faultOf(nodes.file);
    if (fault) faults.push(`runtimes.${n}.nodes.file: ${fault}`);
  });
  if (faults.length > 0) throw new ConfigError(file, faults);
  return config;
}

/** The same for a text. */
export function parse(text: string, file = "the configuration"): Config {
  return checked(file, runConfigProgram(["check", "-"], text));
}

/** What the API checks tasks against: its `RUNTIMES_FILE`, as api-lambda's README describes it. */
export function registry(config: Config): { name: string }[] {
  return good("the configuration", runConfigProgram(["registry", "-"], JSON.stringify(config)))[
    "registry"
  ] as { name: string }[];
}

/** What a user wants of a sample. */
export interface Wishes {
  prefix: string;
  prompt?: string | undefined;
  /** The checkpoint, for runtimes whose tasks name one. */
  model?: string | undefined;
}

/** The body of a POST. */
export interface Body {
  task: { metadata: { id: string; runtime: string; tasktype: string; prefix: string }; content: unknown };
}

/** A small task that a runtime accepts, as `POST /v1alpha2` takes it. */
export function sample(config: Config, runtime: string, id: string, wishes: Wishes): Body {
  const options = Object.entries(wishes).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}=${value}`],
  );
  const args = ["sample", "-", runtime, id, ...options];
  return good(runtime, runConfigProgram(args, JSON.stringify(config))) as unknown as Body;
}

function checked(file: string, answer: Answer): Config {
  return good(file, answer)["config"] as Config;
}

function good(file: string, answer: Answer): { [key: string]: unknown } {
  if (isFaulty(answer)) throw new ConfigError(file, answer.faults);
  return answer;
}

function isFaulty(answer: Answer): answer is { faults: string[] } {
  return Array.isArray(answer["faults" as keyof Answer]);
}
