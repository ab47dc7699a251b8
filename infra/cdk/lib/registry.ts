// What the front door knows of the runtimes: its `RUNTIMES_FILE`, in the words of api-lambda's README.

import { servedModels } from "./config/rules.ts";
import type { Config, Runtime } from "./config/types.ts";

/** The registry of a deployment, as JSON. */
export function registry({ runtimes }: Config): string {
  return JSON.stringify(runtimes.map(entry), null, 1);
}

function entry(runtime: Runtime) {
  const { limits, nodes } = runtime;
  return {
    name: runtime.name,
    type: runtime.type,
    models: servedModels(runtime),
    task_types: runtime.taskTypes,
    limits: {
      max_pixels: limits.maxPixels,
      max_steps: limits.maxSteps,
      max_images: limits.maxImages,
      max_bytes: limits.maxBytes,
    },
    claim_check: runtime.claimCheck,
    allowed_nodes: nodes.allowed,
    denied_nodes: nodes.denied,
    allowed_settings: runtime.allowedSettings,
    allowed_scripts: runtime.allowedScripts,
  };
}
