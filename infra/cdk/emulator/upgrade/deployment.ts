// The deployment in the emulator: which version its stack has, its workers, its queues and its records.

import type { ChildProcess } from "node:child_process";

import { DynamoDBClient, ScanCommand } from "@aws-sdk/client-dynamodb";
import { expect } from "vitest";

import { type Outputs, deploy } from "../support/cdk.ts";
import { type Emulator, access } from "../support/emulator.ts";
import { stop } from "../support/programs.ts";
import { Queues } from "../support/queues.ts";
import { Service } from "../support/service.ts";
import { until } from "../support/until.ts";
import { startWorker } from "../support/worker.ts";
import { lasting } from "./stack.ts";
import type { Sent } from "./submitter.ts";
import type { Version } from "./version.ts";

/** What clients, workers and tasks depend on. */
export interface State {
  outputs: Outputs;
  /** The value of the caller's API key. */
  key: string | undefined;
  /** Physical ids by logical ids. */
  lasting: Record<string, string>;
  /** The number of messages, by queue. */
  waiting: Record<string, number>;
}

/** A run that takes longer than the check. */
const ENDLESS_MS = 600_000;

export class Deployment {
  readonly queues: Queues;
  /** The state after the last deployment. */
  state!: State;
  service!: Service;
  private workers = 0;

  constructor(
    private readonly emulator: Emulator,
    private readonly logs: string,
  ) {
    this.queues = new Queues(emulator);
  }

  /** Deploys the service's stack of a version over what is there. */
  async deploy(version: Version): Promise<void> {
    const outputs = await deploy(this.emulator.env, version.folder, version);
    this.service = new Service(this.emulator, outputs);
    this.state = {
      outputs,
      key: (await this.service.keys())["caller"],
      lasting: await lasting(this.emulator),
      waiting: await this.waiting(outputs),
    };
  }

  /** The number of messages now, by queue, those in the hands of a worker included. */
  async waiting(outputs = this.state.outputs): Promise<Record<string, number>> {
    const runtimes = Object.keys(JSON.parse(outputs.QueueUrls));
    const names = [
      "check-undelivered",
      ...runtimes.flatMap((name) => [`check-${name}`, `check-${name}-dlq`]),
    ];
    const counts = names.map(async (name) => {
      const { waiting, received } = await this.queues.messages(name);
      return [name, waiting + received];
    });
    return Object.fromEntries(await Promise.all(counts));
  }

  /** Starts a worker of a version for a runtime, with the outputs of the stack of that version or the other one. */
  serve(version: Version, name: string, outputs = this.state.outputs, latency = 100): Promise<ChildProcess> {
    const runtime = version.checked.runtimes.find((runtime) => runtime.name === name);
    if (!runtime) throw new Error(`there is no runtime ${name}`);
    const { emulator, logs } = this;
    this.workers += 1;
    return startWorker({
      name: `${version.name}-worker-${this.workers}`,
      runtime,
      config: version.checked,
      outputs,
      emulator,
      logs,
      version: version.worker,
      latency,
    });
  }

  /** A worker of a version receives tasks of a runtime, and is stopped before they are done. */
  async interrupt(version: Version, name: string): Promise<void> {
    const worker = await this.serve(version, name, this.state.outputs, ENDLESS_MS);
    await until("the worker has two tasks", async () => {
      return (await this.queues.messages(`check-${name}`)).received >= 2 || undefined;
    });
    expect(await stop(worker)).toBe(0);
  }

  /** What `v1` says about a task. */
  async record({ submission }: Sent): Promise<string> {
    const { status, body } = await this.service.get(`v1/tasks/${submission}`, this.state.key);
    return status === 200 ? body.status : `answered ${status}`;
  }

  /** The number of items in a table of records. */
  async items(TableName: string): Promise<number | undefined> {
    const client = new DynamoDBClient(access(this.emulator));
    return (await client.send(new ScanCommand({ TableName, Select: "COUNT" }))).Count;
  }
}
