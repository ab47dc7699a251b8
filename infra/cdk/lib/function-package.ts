// The zip of a function: the one that was built, with further files in it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Zippable, unzipSync, zipSync } from "fflate";

/** Part of every entry, so that the same contents make the same zip; the earliest that the format supports. */
const MODIFIED = new Date(1980, 0, 1);

/** The rights of a program, where Unix zips keep them: the upper half of an entry's attributes. */
const EXECUTABLE = { os: 3, attrs: 0o755 << 16, mtime: MODIFIED };
const READABLE = { os: 3, attrs: 0o644 << 16, mtime: MODIFIED };

/**
 * The path of a new zip with the `bootstrap` of a built one and these files beside it. Rights are written into the zip
 * itself, so a deployment from a file system without them works too.
 */
export function packageWith(zip: string, files: Record<string, string>): string {
  const bootstrap = unzipSync(readFileSync(zip))["bootstrap"];
  if (!bootstrap) throw new Error(`${zip} has no \`bootstrap\``);
  const contents: Zippable = { bootstrap: [bootstrap, EXECUTABLE] };
  for (const [name, text] of Object.entries(files)) contents[name] = [Buffer.from(text), READABLE];

  const path = join(mkdtempSync(join(workplace(), "zip-")), "function.zip");
  writeFileSync(path, zipSync(contents));
  return path;
}

let folder: string | undefined;

/** A folder that goes with this process: CDK copies the zips into its output, and nobody else would clear them away. */
function workplace(): string {
  if (!folder) {
    const made = mkdtempSync(join(tmpdir(), "darkroom-"));
    process.once("exit", () => rmSync(made, { recursive: true }));
    folder = made;
  }
  return folder;
}
