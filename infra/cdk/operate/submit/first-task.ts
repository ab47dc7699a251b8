// A small task, to see that a deployment works.

import { type Body, sample } from "../../lib/config/load.ts";
import type { Config, Runtime } from "../../lib/config/types.ts";

export interface Options {
  prompt?: string | undefined;
  /** The checkpoint, for runtimes whose tasks name one. */
  model?: string | undefined;
  /** A content of the caller's, such as a workflow in ComfyUI's API format, in place of the sample's. */
  content?: unknown;
}

/** Results of `submit` have a prefix of their own. */
export const PREFIX = "darkroom-submit";

/** The checkpoint of many first workflows; SD WebUI downloads it by default. */
const DEFAULT_MODEL = "v1-5-pruned-emaonly.safetensors";

/** The body of a request, as `POST /v1alpha2` takes it. */
export function firstTask(
  config: Config,
  runtime: Runtime,
  id: string,
  { prompt, model = DEFAULT_MODEL, content }: Options = {},
): Body {
  const body = sample(config, runtime.name, id, { prefix: PREFIX, prompt, model });
  if (content !== undefined) body.task.content = content;
  return body;
}
