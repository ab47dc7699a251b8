// The release that belongs to this checkout, for machines without Rust.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const REPOSITORY = fileURLToPath(new URL("../../../..", import.meta.url));

/** The version of this checkout, which is that of its release. */
export function version(): string {
  const manifest = readFileSync(join(REPOSITORY, "Cargo.toml"), "utf8");
  const found = /^version = "(.*)"$/m.exec(manifest)?.[1];
  if (!found) throw new Error("Cargo.toml has no version");
  return found;
}

/** Where `infra/operate fetch-release` puts `darkroom-config`. Another version of the checkout has another path. */
export const releasedProgram = () => join(REPOSITORY, "target/release-files", version(), "darkroom-config");
