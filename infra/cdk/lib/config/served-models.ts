import type { Runtime } from "./types.ts";

/** The checkpoints that lead to a runtime; none means any. */
export function servedModels(runtime: Runtime): string[] {
  return [...new Set([...(runtime.model ? [runtime.model] : []), ...runtime.models])];
}
