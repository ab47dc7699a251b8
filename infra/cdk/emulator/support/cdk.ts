// The real CDK CLI, as a deployment calls it.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const APP = fileURLToPath(new URL("../..", import.meta.url));
const CLI = join(APP, "node_modules/aws-cdk/bin/cdk");
export const CONFIG = fileURLToPath(new URL("../config.yaml", import.meta.url));

/** Runs `cdk` with those arguments on the check's configuration; throws with its output when it fails. */
export async function cdk(env: NodeJS.ProcessEnv, args: string[]): Promise<void> {
  const variables = {
    ...env,
    DARKROOM_CONFIG: CONFIG,
    DARKROOM_FUNCTIONS: process.env["DARKROOM_FUNCTIONS"],
    CDK_DISABLE_CLI_TELEMETRY: "true",
  };
  const child = spawn(process.execPath, [CLI, "--no-notices", ...args], { cwd: APP, env: variables });
  let output = "";
  child.stdout.on("data", (text) => (output += text));
  child.stderr.on("data", (text) => (output += text));
  const code = await new Promise((exited) => child.once("exit", exited));
  if (code !== 0) throw new Error(`cdk ${args.join(" ")} exited with ${code}:\n${output}`);
}

/** Deploys the service's stack and answers its outputs. */
export async function deploy(env: NodeJS.ProcessEnv, folder: string): Promise<Outputs> {
  await cdk(env, ["bootstrap", "aws://000000000000/us-east-1", "--output", join(folder, "bootstrap.out")]);
  const outputs = join(folder, "outputs.json");
  const options = [
    "--require-approval",
    "never",
    "--outputs-file",
    outputs,
    "--output",
    join(folder, "cdk.out"),
  ];
  await cdk(env, ["deploy", "check-service", ...options]);
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
