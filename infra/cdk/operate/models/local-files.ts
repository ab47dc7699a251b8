// The folder with models, and whether runtimes would find what is in it.

import { readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";

import { Failure } from "../support/failure.ts";

export interface LocalFile {
  path: string;
  /** Its key in the bucket. */
  key: string;
  size: number;
  /** When it was changed, in milliseconds since 1970. */
  changed: number;
}

/** Where runtimes look: SD WebUI's folders, which ComfyUI finds too, and those that only ComfyUI has. */
export const FOLDERS = [
  ...["Stable-diffusion", "Lora", "VAE", "ControlNet", "ESRGAN", "embeddings", "hypernetworks", "VAE-approx"],
  ...[
    "diffusion_models",
    "text_encoders",
    "clip_vision",
    "style_models",
    "gligen",
    "ipadapter",
    "loras",
    "vae",
  ],
  ...["checkpoints", "controlnet", "upscale_models", "unet", "clip", "configs"],
];

/** All files of a folder. Hidden ones, and those that downloads leave behind, are left out. */
export async function localFiles(folder: string): Promise<LocalFile[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: Error) => {
    throw new Failure(`${folder} cannot be read: ${error.message}`);
  });
  const files: LocalFile[] = [];
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const key = relative(folder, path).split(sep).join("/");
    if (/(^|\/)\./.test(key) || /\.(part|tmp|crdownload)$/.test(key)) continue;
    // Links are followed: models often lie once on a disk, and are linked to.
    const { size, mtimeMs, isFile } = await described(path);
    if (isFile) files.push({ path, key, size, changed: Math.floor(mtimeMs) });
  }
  checkLayout(folder, files);
  return files.sort((a, b) => a.key.localeCompare(b.key));
}

async function described(path: string) {
  const found = await stat(path);
  return { size: found.size, mtimeMs: found.mtimeMs, isFile: found.isFile() };
}

function checkLayout(folder: string, files: LocalFile[]): void {
  if (files.length === 0) throw new Failure(`${folder} holds no files`);
  const strangers = [...new Set(files.map(({ key }) => key.split("/")[0] as string))].filter(
    (top) => !FOLDERS.includes(top) || files.some(({ key }) => key === top),
  );
  if (strangers.length > 0) {
    throw new Failure(
      `runtimes do not look into ${strangers.join(", ")}; files belong into one of\n  ${FOLDERS.join(", ")}`,
    );
  }
  const empty = files.filter(({ size }) => size === 0);
  if (empty.length > 0) throw new Failure(`empty files: ${empty.map(({ key }) => key).join(", ")}`);
}
