// Programs that the check starts, and ends.

import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

const running: ChildProcess[] = [];

/** Starts a program whose output goes to `<name>.log` in `logs`. */
export function start(
  name: string,
  program: string,
  args: string[],
  env: NodeJS.ProcessEnv,
  logs: string,
): ChildProcess {
  const log = createWriteStream(join(logs, `${name}.log`));
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  running.push(child);
  return child;
}

/** Ends a program, and answers once it has gone. */
export async function stop(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await gone;
  }
  return child.exitCode;
}

/** Ends all that were started, the last one first. */
export async function stopAll(): Promise<void> {
  for (const child of running.splice(0).reverse()) await stop(child);
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
