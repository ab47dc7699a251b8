import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

import { architectureOf } from "../lib/config/architecture.ts";
import { load } from "../lib/config/load.ts";
import type { Config } from "../lib/config/types.ts";
import { withAdministrators } from "./deploy/administrators.ts";
import { onPath } from "./preflight/programs.ts";
import { preflight } from "./preflight.ts";
import { firstTask } from "./submit/first-task.ts";
import { aws } from "./support/aws.ts";
import { type Cdk, cdkFor } from "./support/cdk.ts";
import type { Command } from "./support/command.ts";
import { duration, say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";
import { FUNCTION_ZIPS, functionsFolder, INFRA } from "./support/paths.ts";
import { run } from "./support/programs.ts";
import { serviceStack, Stacks } from "./support/stacks.ts";

export const command: Command = {
  help: `Deploys everything: preflight, the functions' zips if they are missing, CDK's bootstrap if needed, both stacks.
It may be called again at any time: what is there already stays. \`update\` shows first what would change.`,
  options: { "skip-preflight": { type: "boolean", description: "deploy although something may be missing" } },
  async run({ file, values }) {
    const loaded = load(file);
    await buildFunctions(loaded);
    const config = await withAdministrators(file, loaded);
    if (values["skip-preflight"] !== true) await preflight(config);
    await deploy(config, cdkFor(file, config), Stacks.of(config));
  },
};

/** Deploys both stacks and says how to begin. */
export async function deploy(config: Config, cdk: Cdk, stacks: Stacks): Promise<void> {
  const begun = Date.now();
  await bootstrap(config, cdk, stacks);
  // Names and permissions come from the configuration; running the command is the approval.
  await cdk("deploy", "--all", "--require-approval", "never", "--progress", "events");
  say(`\ndeployed in ${duration((Date.now() - begun) / 1000)}`);
  say(await howToBegin(config, stacks));
}

async function buildFunctions(config: Config): Promise<void> {
  if (FUNCTION_ZIPS.every((zip) => existsSync(resolve(functionsFolder(config), zip)))) return;
  if (!(await onPath("cargo"))) {
    throw new Failure(
      "the functions' zips are missing: `infra/operate fetch-release` downloads them, Rust (https://rustup.rs) builds them",
    );
  }
  say("building the functions");
  await run(resolve(INFRA, "build-functions"), architectureOf(config) === "arm64" ? [] : ["--x86-64"]);
}

/** What CDK needs once per account and region: a bucket for assets, and the roles that it deploys with. */
async function bootstrap(config: Config, cdk: Cdk, stacks: Stacks): Promise<void> {
  if (await stacks.find("CDKToolkit")) return;
  const { Account } = await new STSClient(aws(config)).send(new GetCallerIdentityCommand({}));
  say(`preparing ${Account}/${config.region} for CDK`);
  await cdk("bootstrap", `aws://${Account}/${config.region}`);
}

async function howToBegin(config: Config, stacks: Stacks): Promise<string> {
  const url = (await stacks.output(serviceStack(config), "ApiUrl")).replace(/\/$/, "");
  const [first] = config.runtimes;
  const body = first ? JSON.stringify(firstTask(config, first, "first")) : "";
  return [
    `front door  ${url}`,
    "keys        infra/operate api-keys",
    "",
    "A first image, which takes minutes while there is no GPU node yet:",
    "",
    "  infra/operate submit",
    "",
    "The same with curl:",
    "",
    `  curl -s ${url}/v1alpha2 -H 'x-api-key: <key>' -d '${body.replaceAll("'", "'\\''")}'`,
  ].join("\n");
}
