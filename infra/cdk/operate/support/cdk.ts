// The pinned CDK command line, on one configuration.

import { resolve } from "node:path";

import type { Config } from "../../lib/config/types.ts";
import { CDK, functionsFolder } from "./paths.ts";
import { capture, run } from "./programs.ts";
import { zonesFor } from "./zones.ts";

/** `cdk` with these arguments, in the deployment's region. */
export type Cdk = (...args: string[]) => Promise<void>;

const PROGRAM = resolve(CDK, "node_modules/.bin/cdk");

export function cdkFor(file: string, config: Config): Cdk {
  return async (...args) =>
    run(PROGRAM, [...args, "--no-notices"], { cwd: CDK, env: await environment(file, config) });
}

/** The same for what it prints, without colours. */
export async function cdkPrints(file: string, config: Config, ...args: string[]): Promise<string> {
  const env = { ...(await environment(file, config)), NO_COLOR: "1", FORCE_COLOR: "0" };
  return capture(PROGRAM, [...args, "--no-notices"], { cwd: CDK, env });
}

async function environment(file: string, config: Config): Promise<Record<string, string>> {
  return {
    DARKROOM_CONFIG: resolve(file),
    DARKROOM_ZONES: (await zonesFor(config))?.join(",") ?? "",
    DARKROOM_FUNCTIONS: functionsFolder(config),
    AWS_REGION: config.region,
    // The CLI reports its use to AWS otherwise, even without credentials.
    CDK_DISABLE_CLI_TELEMETRY: "true",
  };
}
