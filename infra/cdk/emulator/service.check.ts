// The service's stack, deployed, used and destroyed. In an emulator: what it cannot show is in checks/emulator/README.md.

import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { APIGatewayClient, GetApiKeyCommand } from "@aws-sdk/client-api-gateway";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";
import { afterAll, beforeAll, expect, it } from "vitest";

import { load } from "../lib/config/load.ts";
import { CONFIG, type Outputs, deploy, destroy } from "./support/cdk.ts";
import { type Emulator, startEmulator } from "./support/emulator.ts";
import { type Inventory, inventory } from "./support/inventory.ts";
import { stop, stopAll } from "./support/programs.ts";
import { CREDENTIALS, type Json, Queues } from "./support/queues.ts";
import { until } from "./support/until.ts";
import { startWorker } from "./support/worker.ts";

const config = load(CONFIG);
const folder = mkdtempSync(join(tmpdir(), "darkroom-emulator-"));
const MODEL = "v1-5-pruned-emaonly.safetensors";

let emulator: Emulator;
let outputs: Outputs;
let queues: Queues;
let keys: Record<string, string>;
let before: Inventory;

beforeAll(async () => {
  console.log(`logs: ${folder}`);
  emulator = await startEmulator(folder);
  queues = new Queues(emulator);
  before = await inventory(emulator);
  outputs = await deploy(emulator.env, folder);
  keys = await apiKeys();
});
afterAll(stopAll);

it("refuses who has no key", async () => {
  const without = await post("v1alpha2", example("text-to-image"));
  expect(without).toMatchObject({ status: 403, body: { message: "Forbidden" } });
  const wrong = await post("v1alpha2", example("text-to-image"), "wrong");
  expect(wrong).toMatchObject({ status: 403, body: { message: "Forbidden" } });
});

it("tells monitors without a key that it is up", async () => {
  expect((await fetch(address("healthz"))).status).toBe(200);
});

it("names everything that is wrong with a body", async () => {
  const task = example("text-to-image").task;
  task.metadata.runtime = "nobody";
  task.content.steps = "many";
  const answer = await post("v1alpha2", { task }, keys["caller"]);
  expect(answer).toMatchObject({ status: 400, type: "application/problem+json", body: { code: "invalid_task" } });
  expect(answer.body.violations.map(({ pointer }: Json) => pointer)).toContain("/task/metadata/runtime");

  const text = await post("v1alpha2", "{nope", keys["caller"]);
  expect(text).toMatchObject({ status: 400, type: "application/problem+json", body: { code: "invalid_body" } });
});

it("brings a task to the queue of the runtime that it names", async () => {
  const body = example("text-to-image");
  const answer = await post("v1alpha2", body, keys["caller"]);
  expect(answer).toMatchObject({ status: 200, body: { id: "test-t2i", runtime: "sdruntime" } });
  const envelope = await queues.take("check-sdruntime", isTask("test-t2i"));
  expect(envelope.MessageAttributes).toEqual({ runtime: { Type: "String", Value: "sdruntime" } });

  const workflow = example("pipeline");
  workflow.task.metadata.runtime = "comfyui";
  expect((await post("v1alpha2", workflow, keys["caller"])).status).toBe(200);
  await queues.take("check-comfyui", isTask(workflow.task.metadata.id));
  expect(await queues.receive("check-sdruntime")).toBeUndefined();
});

it("brings a task of the first version to the queue of the runtime that serves its model", async () => {
  const answer = await post("v1alpha1", example("v1alpha1"), keys["caller"]);
  expect(answer).toMatchObject({ status: 200, body: { id_task: "test-t2i", runtime: "sdruntime" } });
  await queues.take("check-sdruntime", isTask("test-t2i"));
});

it("brings what a predecessor's front door publishes to the same queue, and strangers' tasks to none", async () => {
  await publish({ id: "stranger", runtime: "nobody" }, { runtime: "nobody" });
  await publish({ id: "other-model" }, { sd_model_checkpoint: "another.safetensors" });
  await publish({ id: "legacy" }, { sd_model_checkpoint: MODEL });
  await queues.take("check-sdruntime", isTask("legacy"));
  expect(await queues.receive("check-sdruntime")).toBeUndefined();
  expect(await queues.receive("check-comfyui")).toBeUndefined();
});

it("ends a task in its dead-letter queue, and says so", async () => {
  const body = example("text-to-image");
  body.task.metadata.id = "poison";
  expect((await post("v1alpha2", body, keys["caller"])).status).toBe(200);
  await until("the message is received for the last time", async () => {
    const message = await queues.receive("check-sdruntime", 0);
    return Number(message?.Attributes?.["ApproximateReceiveCount"]) >= 20 || undefined;
  });
  // Whoever asks next makes the queue give it up.
  expect(await queues.receive("check-sdruntime")).toBeUndefined();

  const notification = await queues.take("check-results-shop", isAbout("poison"));
  expect(notification).toMatchObject({ result: false, task_status: "failed", error: { code: "dead_lettered" } });
  expect(await stored(notification.output_url)).toContain("dead_lettered");
});

it("has a task done by a worker with the chart's variables", async () => {
  const worker = await startWorker(config, outputs, emulator, folder);
  const body = example("text-to-image");
  body.task.metadata.id = "picture";
  expect((await post("v1alpha2", body, keys["caller"])).status).toBe(200);

  const notification = await queues.take("check-results-shop", isAbout("picture"));
  expect(notification).toMatchObject({ result: true, task_status: "succeeded", context: { userId: 123456 } });
  expect(notification.image_url).toHaveLength(1);
  expect(notification.image_url[0]).toMatch(/^s3:\/\/.*\/output\/picture\/picture-[0-9a-f]{8}-1\.png$/);
  expect(await stored(notification.image_url[0])).toMatch(/^.PNG/);
  expect(JSON.parse(await stored(notification.output_url))).toHaveProperty("parameters");
  expect(await stop(worker)).toBe(0);
});

it("takes tasks above the size of a message by way of the bucket", async () => {
  const body = example("image-to-image");
  body.task.metadata.id = "large";
  body.task.content.init_images = [Buffer.concat([png(), Buffer.alloc(600_000)]).toString("base64")];
  const answer = await post("v1alpha2", body, keys["caller"]);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  const envelope = await queues.take("check-sdruntime", isTask("large"));
  const { key, bytes } = JSON.parse(envelope.Message).claim_check;
  expect((await stored(`s3://${outputs.ResultsBucket}/${key}`)).length).toBe(bytes);
});

it("answers 429 to a key that asks for more than its share", async () => {
  const answers = await Promise.all(Array.from({ length: 60 }, () => post("v1alpha2", {}, keys["flood"])));
  const refused = answers.filter(({ status }) => status === 429);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(60);
});

it("leaves nothing when it is destroyed, but the role with which the account's APIs write logs", async () => {
  const during = await inventory(emulator);
  for (const [kind, names] of Object.entries(during)) {
    expect(names.length, `${kind}: the inventory sees what is there`).toBeGreaterThan(before[kind]?.length ?? 0);
  }
  await destroy(emulator.env, folder);

  const after = await inventory(emulator);
  const left = Object.entries(after).flatMap(([kind, names]) =>
    names.filter((name) => !before[kind]?.includes(name) && !/^(CDKToolkit$|cdk-hnb659fds-)/.test(name)),
  );
  expect(left).toEqual([expect.stringMatching(/^check-service-FrontDoorApiCloudWatchRole/)]);
});

/** A golden request body of the contract. */
function example(name: string): Json {
  const file = new URL(`../../../shared-schema/examples/valid/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")).body;
}

/** The address in the emulator of what the output names on AWS. */
function address(path: string): string {
  const api = new URL(outputs.ApiUrl).host.split(".")[0];
  return `${emulator.url}/restapis/${api}/prod/_user_request_/${path}`;
}

async function post(path: string, body: Json, key?: string): Promise<{ status: number; type: string | null; body: Json }> {
  const headers = { "content-type": "application/json", ...(key ? { "x-api-key": key } : {}) };
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const answer = await fetch(address(path), { method: "POST", headers, body: text });
  return { status: answer.status, type: answer.headers.get("content-type"), body: await answer.json() };
}

/** As a predecessor's front door does: the task, and one attribute. */
async function publish(metadata: object, attributes: Record<string, string>): Promise<void> {
  const sns = new SNSClient({ endpoint: emulator.url, region: "us-east-1", credentials: CREDENTIALS });
  const MessageAttributes = Object.fromEntries(
    Object.entries(attributes).map(([name, value]) => [name, { DataType: "String", StringValue: value }]),
  );
  const Message = JSON.stringify({ metadata, content: {} });
  await sns.send(new PublishCommand({ TopicArn: outputs.TasksTopicArn, Message, MessageAttributes }));
}

async function apiKeys(): Promise<Record<string, string>> {
  const api = new APIGatewayClient({ endpoint: emulator.url, region: "us-east-1", credentials: CREDENTIALS });
  const ids = Object.entries<string>(JSON.parse(outputs.ApiKeys));
  const values = ids.map(async ([name, apiKey]) => {
    const { value } = await api.send(new GetApiKeyCommand({ apiKey, includeValue: true }));
    return [name, value ?? ""];
  });
  return Object.fromEntries(await Promise.all(values));
}

/** What is at an `s3://` address, byte by byte. */
async function stored(uri: string): Promise<string> {
  const s3 = new S3Client({ endpoint: emulator.url, region: "us-east-1", credentials: CREDENTIALS, forcePathStyle: true });
  const { host, pathname } = new URL(uri);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: host, Key: decodeURIComponent(pathname.slice(1)) }));
  return (await Body?.transformToString("latin1")) ?? "";
}

const isTask = (id: string) => (envelope: Json) =>
  envelope?.Message !== undefined && JSON.parse(envelope.Message).metadata.id === id;
const isAbout = (id: string) => (notification: Json) => notification?.id === id;

/** The smallest image there is. */
function png(): Buffer {
  const base64 = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
  return Buffer.from(base64, "base64");
}
