// A worker with the variables that the chart gives it, beside a simulated runtime.

import type { ChildProcess } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import {
  App,
  Stack,
  aws_dynamodb as dynamodb,
  aws_s3 as s3,
  aws_sns as sns,
  aws_sqs as sqs,
} from "aws-cdk-lib";

import { runtimeValues } from "../../lib/cluster/runtime-values.ts";
import type { Config } from "../../lib/config/types.ts";
import { render } from "../../test/cluster/helm.ts";
import type { Outputs } from "./cdk.ts";
import type { Emulator } from "./emulator.ts";
import { freePort, start } from "./programs.ts";
import type { Json } from "./service.ts";

const PROGRAMS = fileURLToPath(new URL("../../../../target/debug/", import.meta.url));

/** Starts both for the first runtime of the configuration. */
export async function startWorker(
  config: Config,
  outputs: Outputs,
  emulator: Emulator,
  logs: string,
): Promise<ChildProcess> {
  const port = await freePort();
  const simulation = ["sdwebui", "--listen", `127.0.0.1:${port}`, "--latency-ms", "100"];
  start("simulated-runtime", join(PROGRAMS, "simulated-runtime"), simulation, emulator.env, logs);

  const variables = chartVariables(config, outputs, port);
  const here = {
    ...emulator.env,
    STATE_FILE: join(logs, "state.json"),
    HEALTH_LISTEN: "off",
    HOSTNAME: "worker",
  };
  return start("worker", join(PROGRAMS, "worker"), [], { ...variables, ...here }, logs);
}

/** The variables of the worker's container, as the chart renders them for what was deployed. */
function chartVariables(config: Config, outputs: Outputs, port: number): Record<string, string> {
  const [runtime] = config.runtimes;
  if (!runtime) throw new Error("the configuration has no runtime");
  const stack = new Stack(new App(), "Deployed");
  const queue = { queueUrl: JSON.parse(outputs.QueueUrls)[runtime.name] } as sqs.IQueue;
  const values: Json = runtimeValues(runtime, {
    config,
    target: {
      name: "cluster",
      subnetIds: ["subnet-0123456789abcdef0"],
      securityGroupIds: ["sg-0123456789abcdef0"],
    } as Json,
    registry: "registry.example.com",
    queue,
    bucket: s3.Bucket.fromBucketName(stack, "Bucket", outputs.ResultsBucket),
    records: dynamodb.Table.fromTableName(stack, "Table", outputs.RecordsTable),
    completions: sns.Topic.fromTopicArn(stack, "Topic", outputs.CompletionsTopicArn),
    account: { name: runtime.name } as Json,
    annotations: {},
    nodeRoleName: "node-role",
  });
  values.runtime.port = port;

  const { manifests } = render(runtime.name, config.name, values);
  const deployment = manifests.find(({ kind }: Json) => kind === "Deployment");
  const worker = deployment.spec.template.spec.containers.find(({ name }: Json) => name === "worker");
  return Object.fromEntries(worker.env.map(({ name, value }: Json) => [name, value]));
}
