// The names of a release's programs.

import { Failure } from "../support/failure.ts";

/** The parts of names for what Node.js calls a platform and a processor. */
const PLATFORMS: Record<string, string> = { linux: "linux", darwin: "macos" };
const PROCESSORS: Record<string, string> = { x64: "x86_64", arm64: "aarch64" };

/** The file of a release with the program that checks configurations, for such a machine. */
export function programName(platform: string, processor: string): string {
  const [system, machine] = [PLATFORMS[platform], PROCESSORS[processor]];
  if (!system || !machine)
    throw new Failure(
      `a release has no program for ${platform} on ${processor}: install Rust (https://rustup.rs)`,
    );
  return `darkroom-config-${machine}-${system}`;
}
