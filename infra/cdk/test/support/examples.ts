// The examples of configurations, and what tests share that begin with one of them.

import { fileURLToPath } from "node:url";

import { load } from "../../lib/config/load.ts";
import type { Config } from "../../lib/config/types.ts";

export const EXAMPLES = ["minimal", "full", "existing-cluster", "china", "auto-mode"] as const;
export type Example = (typeof EXAMPLES)[number];

const loaded = new Map<Example, string>();

/** The configuration of an example, changed by `change`. */
export function example(name: Example, change: (config: Config) => void = () => {}): Config {
  const file = fileURLToPath(new URL(`../../../examples/${name}.yaml`, import.meta.url));
  const text = loaded.get(name) ?? JSON.stringify(load(file));
  loaded.set(name, text);
  const config = JSON.parse(text) as Config;
  change(config);
  return config;
}

/**
 * The same as `make`, but what it makes of an unchanged example is made once per test process, where files share one: a stack
 * takes about a second. Tests only read it.
 */
export function oncePerExample<R>(make: (config: Config) => R): (config: Config) => R {
  const made = new Map<string, R>();
  return (config) => {
    const text = JSON.stringify(config);
    const result = made.get(text) ?? make(config);
    if ([...loaded.values()].includes(text)) made.set(text, result);
    return result;
  };
}
