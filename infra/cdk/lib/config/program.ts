// The program that reads and checks configurations: `infra/configuration`, shared with the local stack.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const REPOSITORY = fileURLToPath(new URL("../../../..", import.meta.url));

/** The answer of the program: JSON, or everything that is wrong with the configuration. */
export type Answer = { faults: string[] } | { [key: string]: unknown };

let built: string | undefined;

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

/** Where the program is: `DARKROOM_CONFIG_PROGRAM`, as a release has it, or else built here, once per process. */
export function program(): string {
  const given = process.env["DARKROOM_CONFIG_PROGRAM"];
  if (given) return given;
  built ??= build();
  return built;
}

function build(): string {
  const args = ["build", "--quiet", "--locked", "--package", "deployment-config", "--message-format=json"];
  const { status, stdout, stderr, error } = spawnSync("cargo", args, { cwd: REPOSITORY, encoding: "utf8" });
  if (error || status !== 0) {
    const reason = error ? "there is no Rust here (https://rustup.rs)" : stderr;
    throw new Error(`the program that checks configurations cannot be built: ${reason}`);
  }
  const messages = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { executable?: string | null });
  const executable = messages.findLast((message) => message.executable)?.executable;
  if (!executable) throw new Error("cargo names no program for deployment-config");
  return executable;
}
