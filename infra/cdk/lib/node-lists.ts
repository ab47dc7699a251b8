// The node lists of runtimes, for the front door: ComfyUI's `/object_info`, saved in the files that the configuration names.

import { readFileSync } from "node:fs";

import type { Config } from "./config/types.ts";

/** Python's JSON has these literals as bounds of numbers (ComfyUI); JSON has not. */
const PYTHON_NUMBERS = /(?<=[:,[]\s*)(-?Infinity|NaN)(?=\s*[,}\]])/g;

/** The files to put beside the registry, by the names that `withNodeLists` gives them. */
export function nodeLists({ runtimes }: Config): Record<string, string> {
  const listed = runtimes.filter(({ nodes }) => nodes.file !== undefined);
  return Object.fromEntries(
    listed.map(({ name, nodes }) => [fileOf(name), readFileSync(nodes.file as string, "utf8")]),
  );
}

/** The registry, with `nodes_file` in the entries of runtimes that have a list. */
export function withNodeLists({ runtimes }: Config, registry: { name: string }[]): object[] {
  const listed = new Set(runtimes.filter(({ nodes }) => nodes.file !== undefined).map(({ name }) => name));
  return registry.map((entry) =>
    listed.has(entry.name) ? { ...entry, nodes_file: fileOf(entry.name) } : entry,
  );
}

/** What is wrong with the list in a file, if anything: the front door would not start with it. */
export function faultOf(file: string): string | undefined {
  let list: unknown;
  try {
    list = JSON.parse(readFileSync(file, "utf8").replaceAll(PYTHON_NUMBERS, "null"));
  } catch (error) {
    return `${file} cannot be read as JSON: ${(error as Error).message}`;
  }
  const isObject = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
  const isList = isObject(list) && Object.keys(list as object).length > 0;
  const correct = isList && Object.values(list as object).every(isObject);
  return correct ? undefined : `${file} is not an answer of ComfyUI's /object_info`;
}

function fileOf(runtime: string): string {
  return `nodes-${runtime}.json`;
}
