// AWS's APIs by moto, one server per test file, on a port of its own.

import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { resolve } from "node:path";

import { afterAll, beforeAll, beforeEach } from "vitest";

import { CDK, INFRA } from "../../../operate/support/paths.ts";

const MOTO = "moto[server]==5.2.5";
const ENVIRONMENTS = [resolve(INFRA, "tools/venv"), resolve(CDK, "../../.venv")];
const START_SECONDS = 60;

/** Starts moto for the tests of a file, empty before each of them, and leads the AWS SDK to it. */
export function withMoto(): { url: string } {
  const server = { url: "" };
  let stop = () => {};
  beforeAll(async () => {
    const program = installed();
    const port = await freePort();
    server.url = `http://127.0.0.1:${port}`;
    const child = spawn(program, ["-H", "127.0.0.1", "-p", String(port)], { stdio: "ignore" });
    stop = () => child.kill();
    await answers(`${server.url}/moto-api/`, () => child.exitCode === null);
    Object.assign(process.env, {
      AWS_ENDPOINT_URL: server.url,
      AWS_ACCESS_KEY_ID: "test",
      AWS_SECRET_ACCESS_KEY: "test",
      AWS_EC2_METADATA_DISABLED: "true",
    });
    delete process.env["AWS_PROFILE"];
  });
  beforeEach(async () => {
    await fetch(`${server.url}/moto-api/reset`, { method: "POST" });
  });
  afterAll(() => stop());
  return server;
}

/** moto's server, from an environment that has it, or else installed now. Without it the tests fail. */
function installed(): string {
  const found = ENVIRONMENTS.map((folder) => resolve(folder, "bin/moto_server")).find(existsSync);
  if (found) return found;
  const [folder = ""] = ENVIRONMENTS;
  if (!existsSync(resolve(folder, "bin/python"))) call("python3", "-m", "venv", folder);
  call(resolve(folder, "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", MOTO);
  return resolve(folder, "bin/moto_server");
}

function call(program: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(program, args, { encoding: "utf8" });
  if (status !== 0)
    throw new Error(`moto is needed, and could not be installed: ${error?.message ?? stderr}`);
}

async function answers(url: string, alive: () => boolean): Promise<void> {
  const until = Date.now() + START_SECONDS * 1000;
  while (Date.now() < until && alive()) {
    if (
      await fetch(url).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("moto did not start");
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
