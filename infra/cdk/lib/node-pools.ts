import type { Config } from "./config/types.ts";

/** The name of the NodePool of a runtime, which the chart makes (chart/templates/_names.tpl). */
export const nodePool = ({ name }: Config, runtime: { name: string }): string => `${name}-${runtime.name}`;

/** Those of all runtimes. */
export const nodePools = (config: Config): string[] =>
  config.runtimes.map((runtime) => nodePool(config, runtime));
