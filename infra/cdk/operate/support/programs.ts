// Other programs that commands call.

import { spawn } from "node:child_process";

import { Failure } from "./failure.ts";

interface Options {
  cwd?: string;
  env?: Record<string, string>;
  /** What it reads, for what must not stand in its arguments. */
  input?: string;
  /** Its errors are not shown, where one is an answer like any other. */
  quiet?: boolean;
}

/** Runs a program that talks to the operator itself. */
export async function run(program: string, args: string[], options: Options = {}): Promise<void> {
  await launch(program, args, options, "inherit");
}

/** Runs a program for what it prints; its errors go to the terminal, unless it is to be quiet. */
export async function capture(program: string, args: string[], options: Options = {}): Promise<string> {
  return launch(program, args, options, "pipe");
}

function launch(
  program: string,
  args: string[],
  { cwd, env, input, quiet }: Options,
  stdout: "inherit" | "pipe",
) {
  return new Promise<string>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: [input === undefined ? "inherit" : "pipe", stdout, quiet ? "ignore" : "inherit"],
    });
    child.stdin?.end(input);
    let printed = "";
    child.stdout?.setEncoding("utf8").on("data", (part: string) => (printed += part));
    child.on("error", (error: NodeJS.ErrnoException) =>
      reject(
        new Failure(
          error.code === "ENOENT" ? `\`${program}\` is not installed` : `${program}: ${error.message}`,
        ),
      ),
    );
    child.on("close", (code, signal) =>
      code === 0
        ? resolve(printed)
        : reject(new Failure(`\`${program} ${args[0] ?? ""}\` exited with ${signal ?? `status ${code}`}`)),
    );
  });
}
