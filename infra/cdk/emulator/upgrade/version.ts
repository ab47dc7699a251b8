// What one version consists of: its CDK app, its functions, its worker and the chart that gives it its variables.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import type { Config } from "../../lib/config/types.ts";
import type { Deployable } from "../support/cdk.ts";
import { THIS } from "../support/cdk.ts";
import type { WorkerVersion } from "../support/worker.ts";

const CONFIG = fileURLToPath(new URL("config.yaml", import.meta.url));

/** The emulator has neither X-Ray nor its sampling rules; the previous version knows no such field. */
const WITHOUT_TRACES = "\ntracing:\n  enabled: false\n";

export interface Version extends Deployable {
  name: "previous" | "new";
  /** The checked configuration. */
  checked: Config;
  worker: WorkerVersion;
  /** The folder for what its deployment writes. */
  folder: string;
}

/** The version that `checks/upgrade/previous` has built. */
export function previousVersion(logs: string): Promise<Version> {
  const root = process.env["DARKROOM_PREVIOUS"];
  if (!root) throw new Error("DARKROOM_PREVIOUS is not set; checks/upgrade/run sets it");
  return version("previous", join(root, "infra/cdk"), {
    config: readFileSync(CONFIG, "utf8"),
    functions: join(root, "target/functions-debug"),
    programs: join(root, "target/debug"),
    logs,
  });
}

/** The version of this tree. */
export function newVersion(logs: string): Promise<Version> {
  const { app, functions } = THIS;
  const config = readFileSync(CONFIG, "utf8") + WITHOUT_TRACES;
  return version("new", app, { config, functions, programs: join(app, "../../target/debug"), logs });
}

interface Parts {
  /** The text of the deployment file. */
  config: string;
  functions: string | undefined;
  programs: string;
  logs: string;
}

async function version(name: Version["name"], app: string, parts: Parts): Promise<Version> {
  const folder = join(parts.logs, name);
  mkdirSync(folder);
  const config = join(folder, "config.yaml");
  writeFileSync(config, parts.config);

  const part = (file: string) => import(/* @vite-ignore */ join(app, file));
  const { load }: typeof import("../../lib/config/load.ts") = await part("lib/config/load.ts");
  const { render }: typeof import("../../test/cluster/helm.ts") = await part("test/cluster/helm.ts");
  const { runtimeValues }: typeof import("../../lib/cluster/runtime-values.ts") = await part(
    "lib/cluster/runtime-values.ts",
  );
  const worker = { programs: parts.programs, runtimeValues, render };
  return { name, app, config, functions: parts.functions, checked: load(config), worker, folder };
}
