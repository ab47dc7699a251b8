// `infra/operate <command>`: finds the command's file, reads its arguments, and reports what went wrong in one
// line.

import { parseArgs } from "node:util";

import { ConfigError } from "../lib/config/load.ts";
import { ProgramMissing } from "../lib/config/program.ts";
import { reasonOf } from "./support/aws.ts";
import type { Command } from "./support/command.ts";
import { say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";
import { DEFAULT_CONFIG } from "./support/paths.ts";

/** In the order in which an operator needs them. Loaded one by one: each brings its own AWS clients. */
const COMMANDS: Record<string, () => Promise<{ command: Command }>> = {
  "fetch-release": () => import("./fetch-release.ts"),
  "check-config": () => import("./check-config.ts"),
  "upload-models": () => import("./upload-models.ts"),
  mirror: () => import("./mirror.ts"),
  preflight: () => import("./preflight.ts"),
  deploy: () => import("./deploy.ts"),
  "api-keys": () => import("./api-keys.ts"),
  submit: () => import("./submit.ts"),
  "cache-images": () => import("./cache-images.ts"),
  update: () => import("./update.ts"),
  measure: () => import("./measure.ts"),
  plan: () => import("./plan.ts"),
  costs: () => import("./costs.ts"),
  destroy: () => import("./destroy.ts"),
};

/** Of the column with options. */
const WIDTH = 18;

process.exitCode = await main(process.argv.slice(2));

async function main([name, ...rest]: string[]): Promise<number> {
  if (name === undefined || name === "help" || name === "--help" || name === "-h") {
    await help();
    return name === undefined ? 2 : 0;
  }
  const load = COMMANDS[name];
  if (!load) {
    console.error(`there is no command \`${name}\`; \`infra/operate help\` lists them`);
    return 2;
  }
  const { command } = await load();
  if (rest.includes("--help") || rest.includes("-h")) {
    usage(name, command);
    return 0;
  }
  try {
    const { values, positionals } = parse(command, rest);
    const config = values["config"];
    await command.run({ file: typeof config === "string" ? config : DEFAULT_CONFIG, values, positionals });
    return 0;
  } catch (error) {
    console.error(explain(error));
    return 1;
  }
}

function parse(command: Command, args: string[]) {
  const options = { config: { type: "string" }, ...command.options } as const;
  try {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const wanted = command.positional ? 1 : 0;
    if (positionals.length === wanted) return { values, positionals };
    throw new Error(wanted ? `${command.positional} is missing` : `${positionals[0]} is not expected`);
  } catch (error) {
    // Node.js goes on about arguments that begin with a dash.
    throw new Failure(`${(error as Error).message.split(". ")[0]} (\`--help\` says more)`);
  }
}

function usage(name: string, command: Command): void {
  say(
    `infra/operate ${name}${command.positional ? ` ${command.positional}` : ""} [options]\n\n${command.help}\n`,
  );
  say(`  ${"--config FILE".padEnd(WIDTH)} the deployment (infra/config.yaml)`);
  for (const [option, { type, description }] of Object.entries(command.options ?? {})) {
    say(`  ${`--${option}${type === "string" ? " VALUE" : ""}`.padEnd(WIDTH)} ${description}`);
  }
}

async function help(): Promise<void> {
  say("infra/operate <command> [--config FILE] [options]; `--help` after a command says more.\n");
  for (const [name, load] of Object.entries(COMMANDS)) {
    const { command } = await load();
    say(`  ${name.padEnd(14)} ${command.help.split("\n")[0]}`);
  }
}

/** The message for a person. Only unexpected errors have a stack trace. */
function explain(error: unknown): string {
  if (error instanceof Failure || error instanceof ConfigError || error instanceof ProgramMissing) {
    return error.message;
  }
  if (!(error instanceof Error)) return String(error);
  if (error.name === "CredentialsProviderError") {
    return "there are no AWS credentials: `aws sts get-caller-identity` must work in this shell";
  }
  return "$metadata" in error ? `AWS refused: ${reasonOf(error)}` : (error.stack ?? error.message);
}
