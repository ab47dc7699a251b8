// A small task of each kind, to see that a deployment works.

import type { Runtime } from "../../lib/config/types.ts";

export interface Wishes {
  prompt?: string;
  /** The checkpoint, for runtimes whose tasks name one. */
  model?: string;
  /** A workflow in ComfyUI's API format, in place of the sample. */
  workflow?: unknown;
}

const PROMPT = "a lighthouse at dusk, oil painting";

/** Results of `submit` have a prefix of their own. */
export const PREFIX = "darkroom-submit";

/** The body of a request, as `POST /v1alpha2` takes it. */
export function sample(runtime: Runtime, id: string, { prompt = PROMPT, model, workflow }: Wishes) {
  const metadata = {
    id,
    runtime: runtime.name,
    tasktype: runtime.type === "comfyui" ? "pipeline" : "text-to-image",
    prefix: PREFIX,
  };
  const content =
    runtime.type === "comfyui"
      ? (workflow ?? graph(prompt, model ?? "v1-5-pruned-emaonly.safetensors"))
      : { prompt, steps: 16, width: 512, height: 512 };
  return { task: { metadata, content } };
}

/** ComfyUI's own first workflow: checkpoint, two texts, empty latent, sampler, decoder, picture. */
function graph(prompt: string, checkpoint: string) {
  return {
    "1": { class_type: "CheckpointLoaderSimple", inputs: { ckpt_name: checkpoint } },
    "2": { class_type: "CLIPTextEncode", inputs: { text: prompt, clip: ["1", 1] } },
    "3": { class_type: "CLIPTextEncode", inputs: { text: "", clip: ["1", 1] } },
    "4": { class_type: "EmptyLatentImage", inputs: { width: 512, height: 512, batch_size: 1 } },
    "5": {
      class_type: "KSampler",
      inputs: {
        model: ["1", 0],
        positive: ["2", 0],
        negative: ["3", 0],
        latent_image: ["4", 0],
        seed: Math.floor(Math.random() * 2 ** 32),
        steps: 16,
        cfg: 7,
        sampler_name: "euler",
        scheduler: "normal",
        denoise: 1,
      },
    },
    "6": { class_type: "VAEDecode", inputs: { samples: ["5", 0], vae: ["1", 2] } },
    "7": { class_type: "SaveImage", inputs: { images: ["6", 0], filename_prefix: "darkroom" } },
  };
}
