// The real CDK CLI, as a deployment calls it.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { program } from "../../lib/config/program.ts";

export const CONFIG = fileURLToPath(new URL("../config.yaml", import.meta.url));

/** What is deployed. */
export interface Deployable {
  /** The folder of the CDK app, with its packages. */
  app: string;
  /** The deployment file. */
  config: string;
  /** The folder with the functions' zips. */
  functions: string | undefined;
}

/** The app of this tree, with the check's configuration. */
export const THIS: Deployable = {
  app: fileURLToPath(new URL("../..", import.meta.url)),
  config: CONFIG,
  functions: process.env["DARKROOM_FUNCTIONS"],
};

/** Runs `cdk` with those arguments; throws with its output when it fails. */
export async function cdk(env: NodeJS.ProcessEnv, args: string[], what = THIS): Promise<void> {
  const variables = {
    ...env,
    DARKROOM_CONFIG: what.config,
    DARKROOM_FUNCTIONS: what.functions,
    // The home folder is another one there, in which rustup finds no compiler to build it with.
    DARKROOM_CONFIG_PROGRAM: program(),
    CDK_DISABLE_CLI_TELEMETRY: "true",
  };
  const cli = join(what.app, "node_modules/aws-cdk/bin/cdk");
  const child = spawn(process.execPath, [cli, "--no-notices", ...args], { cwd: what.app, env: variables });
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (output += text));
  const code = await new Promise((exited) => child.once("exit", exited));
  if (code !== 0) throw new Error(`cdk ${args.join(" ")} exited with ${code}:\n${output}`);
}

/** Deploys the service's stack and answers its outputs. */
export async function deploy(env: NodeJS.ProcessEnv, folder: string, what = THIS): Promise<Outputs> {
  const bootstrap = ["bootstrap", "aws://000000000000/us-east-1", "--output", join(folder, "bootstrap.out")];
  await cdk(env, bootstrap, what);
  const outputs = join(folder, "outputs.json");
  const options = [
    "--require-approval",
    "never",
    "--outputs-file",
    outputs,
    "--output",
    join(folder, "cdk.out"),
  ];
  await cdk(env, ["deploy", "check-service", ...options], what);
  return JSON.parse(readFileSync(outputs, "utf8"))["check-service"];
}

/** Destroys it. */
export async function destroy(env: NodeJS.ProcessEnv, folder: string): Promise<void> {
  await cdk(env, ["destroy", "check-service", "--force", "--output", join(folder, "cdk.out")]);
}

/** The outputs of the service's stack; of those with several values, as JSON. */
export interface Outputs {
  ApiUrl: string;
  ComfyUrl: string;
  ApiKeys: string;
  ResultsBucket: string;
  RecordsTable: string;
  TasksTopicArn: string;
  CompletionsTopicArn: string;
  QueueUrls: string;
}
