// A worker with the variables that the chart gives it, beside a simulated runtime.

import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { runtimeValues } from "../../lib/cluster/runtime-values.ts";
import type { Config, Runtime } from "../../lib/config/types.ts";
import { render } from "../../test/cluster/helm.ts";
import type { Outputs } from "./cdk.ts";
import type { Emulator } from "./emulator.ts";
import { freePort, start } from "./programs.ts";
import type { Json } from "./service.ts";

/** Where a worker and its variables come from. */
export interface WorkerVersion {
  /** The folder with the programs. */
  programs: string;
  runtimeValues: typeof runtimeValues;
  render: typeof render;
}

const THIS: WorkerVersion = {
  programs: fileURLToPath(new URL("../../../../target/debug/", import.meta.url)),
  runtimeValues,
  render,
};

export interface WorkerOptions {
  /** Its pod's name, by which its files differ from those of other workers. */
  name: string;
  runtime: Runtime;
  config: Config;
  outputs: Outputs;
  emulator: Emulator;
  logs: string;
  version?: WorkerVersion;
  /** How long the runtime takes for a task, in milliseconds. */
  latency?: number;
}

/** Starts both. */
export async function startWorker(options: WorkerOptions): Promise<ChildProcess> {
  const { name, runtime, emulator, logs, version = THIS, latency = 100 } = options;
  const port = await freePort();
  const variables = chartVariables(options, version, port);
  const here: Record<string, string | undefined> = {
    ...emulator.env,
    STATE_FILE: join(logs, `${name}-state.json`),
    HEALTH_LISTEN: "off",
    HOSTNAME: name,
  };
  const simulation = [runtime.type, "--listen", `127.0.0.1:${port}`, "--latency-ms", String(latency)];
  if (runtime.model) simulation.push("--model", runtime.model);
  if ("SCRATCH_FOLDER" in variables) {
    const folder = join(logs, `${name}-scratch`);
    mkdirSync(folder);
    here["SCRATCH_FOLDER"] = folder;
    simulation.push("--folder", folder);
  }
  start(`${name}-runtime`, join(version.programs, "simulated-runtime"), simulation, emulator.env, logs);
  return start(name, join(version.programs, "worker"), [], { ...variables, ...here }, logs);
}

/** The variables of the worker's container, as the chart renders them for what was deployed. */
function chartVariables(
  { runtime, config, outputs }: WorkerOptions,
  version: WorkerVersion,
  port: number,
): Record<string, string> {
  const values: Json = version.runtimeValues(runtime, {
    config,
    target: {
      name: "cluster",
      subnetIds: ["subnet-0123456789abcdef0"],
      securityGroupIds: ["sg-0123456789abcdef0"],
    } as Json,
    registry: "registry.example.com",
    queue: { queueUrl: JSON.parse(outputs.QueueUrls)[runtime.name] } as Json,
    bucket: { bucketName: outputs.ResultsBucket } as Json,
    records: { tableName: outputs.RecordsTable } as Json,
    completions: { topicArn: outputs.CompletionsTopicArn } as Json,
    account: { name: runtime.name } as Json,
    annotations: {},
    nodeRoleName: "node-role",
  });
  values.runtime.port = port;

  const { manifests } = version.render(runtime.name, config.name, values);
  const deployment = manifests.find(({ kind }: Json) => kind === "Deployment");
  const worker = deployment.spec.template.spec.containers.find(({ name }: Json) => name === "worker");
  return Object.fromEntries(worker.env.map(({ name, value }: Json) => [name, value]));
}
