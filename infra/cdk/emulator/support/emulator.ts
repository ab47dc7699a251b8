// ministack: AWS on loopback, without Docker. Functions run as processes of this machine.

import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { freePort, start } from "./programs.ts";
import { until } from "./until.ts";

const NODE_MODULES = fileURLToPath(new URL("../../node_modules", import.meta.url));
const MINISTACK = fileURLToPath(new URL("../../../tools/venv/bin/ministack", import.meta.url));

/** What any client needs to reach it. */
export interface Emulator {
  url: string;
  /** Variables for programs: the endpoint and credentials. */
  env: NodeJS.ProcessEnv;
}

/** What an AWS client is made with to call it. */
export function access({ url }: Emulator) {
  return {
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  };
}

/** Starts it on a free port, with nothing in it. Its log goes to `logs`. */
export async function startEmulator(logs: string): Promise<Emulator> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const env = {
    PATH: process.env["PATH"],
    HOME: logs,
    // The CDK keeps which account a key belongs to, in the user's home whatever HOME is. The key is also that of other tests.
    CDK_HOME: join(logs, "cdk-home"),
    AWS_ENDPOINT_URL: url,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_EC2_METADATA_DISABLED: "true",
  };
  const own = {
    GATEWAY_PORT: String(port),
    BIND_HOST: "127.0.0.1",
    // Lambda's Node.js has the AWS SDK; so have functions here, CDK's that empties the bucket among them.
    NODE_PATH: NODE_MODULES,
  };
  const child = start("ministack", MINISTACK, [], { ...env, ...own }, logs);
  await until("the emulator answers", async () => {
    if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}; see ministack.log`);
    return (await fetch(`${url}/_ministack/health`)).ok || undefined;
  });
  return { url, env };
}
