import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One folder for what the tests leave behind: each `App` writes an assembly of some 60 MB to the temporary folder. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-cdk-"));
  process.env["TMPDIR"] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
