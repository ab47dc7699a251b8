import { expect, it } from "vitest";

import { registry } from "../lib/registry.ts";
import { example } from "./support/service.ts";

it("says of each runtime what the front door must know, in its words", () => {
  expect(JSON.parse(registry(example("full")))).toEqual([
    {
      name: "sdruntime",
      type: "sdwebui",
      models: ["sd_xl_base_1.0.safetensors", "dreamshaper_8.safetensors"],
      task_types: ["text-to-image", "image-to-image", "extra-single-image"],
      limits: { max_pixels: 4194304, max_steps: 100, max_images: 8, max_bytes: 4194304 },
      claim_check: true,
      allowed_nodes: [],
      denied_nodes: [],
      allowed_settings: ["control_net_no_detectmap"],
      allowed_scripts: ["X/Y/Z plot"],
    },
    {
      name: "comfyui",
      type: "comfyui",
      models: [],
      task_types: [],
      limits: { max_pixels: 67108864, max_steps: 500, max_images: 128 },
      claim_check: true,
      allowed_nodes: [],
      denied_nodes: ["VHS_LoadVideoPath", "LoadImageFromUrl"],
      allowed_settings: [],
      allowed_scripts: [],
    },
  ]);
});
