import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One folder for what the tests leave behind: each `App` writes an assembly of some 60 MB to the temporary folder. */
export default function setup(): () => void {
  const folder = mkdtempSync(join(tmpdir(), "darkroom-cdk-"));
  process.env["TMPDIR"] = folder;
  // There the CDK keeps which account a key belongs to: for the key of all tests the one that was asked first.
  process.env["CDK_HOME"] = join(folder, "cdk-home");
  return () => rmSync(folder, { recursive: true, force: true });
}
