// The program that reads and checks configurations: `infra/configuration`, shared with the local stack.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

import { releasedProgram, REPOSITORY } from "./release.ts";

/** The answer of the program: JSON, or everything that is wrong with the configuration. */
export type Answer = { faults: string[] } | { [key: string]: unknown };

/** There is no such program here. The message says how to get it. */
export class ProgramMissing extends Error {
  override name = "ProgramMissing";
}

let found: string | undefined;

/** Runs it with these arguments. Throws if there is no such program here, and it cannot be built. */
export function runConfigProgram(args: string[], input?: string): Answer {
  const { status, stdout, stderr, error } = spawnSync(program(), args, { input, encoding: "utf8" });
  if (error) throw error;
  try {
    return JSON.parse(stdout) as Answer;
  } catch {
    throw new Error(`darkroom-config ${args.join(" ")} exited with ${status}: ${stderr}`);
  }
}

/** Where the program is: `DARKROOM_CONFIG_PROGRAM`, or built here, once per process; without Rust, that of the release. */
export function program(): string {
  const given = process.env["DARKROOM_CONFIG_PROGRAM"];
  if (given) return given;
  found ??= built() ?? downloaded();
  return found;
}

/** Undefined without Rust. */
function built(): string | undefined {
  const args = ["build", "--quiet", "--locked", "--package", "deployment-config", "--message-format=json"];
  const { status, stdout, stderr, error } = spawnSync("cargo", args, { cwd: REPOSITORY, encoding: "utf8" });
  if (error) return undefined;
  if (status !== 0) throw new Error(`the program that checks configurations cannot be built: ${stderr}`);
  const messages = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { executable?: string | null });
  const executable = messages.findLast((message) => message.executable)?.executable;
  if (!executable) throw new Error("cargo names no program for deployment-config");
  return executable;
}

function downloaded(): string {
  if (existsSync(releasedProgram())) return releasedProgram();
  throw new ProgramMissing(
    "the program that checks configurations is missing: `infra/operate fetch-release` downloads it, Rust (https://rustup.rs) builds it",
  );
}
