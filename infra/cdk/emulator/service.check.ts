// The service's stack, deployed, used and destroyed. In an emulator: what it cannot show is in checks/emulator/README.md.

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { load } from "../lib/config/load.ts";
import { CONFIG, type Outputs, deploy, destroy } from "./support/cdk.ts";
import { type Emulator, startEmulator } from "./support/emulator.ts";
import { type Inventory, inventory } from "./support/inventory.ts";
import { PNG } from "./support/png.ts";
import { stop, stopAll } from "./support/programs.ts";
import { Queues, isAbout, isTask } from "./support/queues.ts";
import { type Json, Service, example } from "./support/service.ts";
import { startWorker } from "./support/worker.ts";

const config = load(CONFIG);
const folder = mkdtempSync(join(tmpdir(), "darkroom-emulator-"));

let emulator: Emulator;
let before: Inventory;
let outputs: Outputs;
let service: Service;
let queues: Queues;
let caller: string | undefined;
let flood: string | undefined;

beforeAll(async () => {
  console.log(`logs: ${folder}`);
  emulator = await startEmulator(folder);
  before = await inventory(emulator);
  outputs = await deploy(emulator.env, folder);
  service = new Service(emulator, outputs);
  queues = new Queues(emulator);
  ({ caller, flood } = await service.keys());
});
afterAll(stopAll);

it("refuses who has no key", async () => {
  const forbidden = { status: 403, body: { message: "Forbidden" } };
  expect(await service.post("v1alpha2", example("text-to-image"))).toMatchObject(forbidden);
  expect(await service.post("v1alpha2", example("text-to-image"), "wrong")).toMatchObject(forbidden);
});

it("answers health checks, and describes itself, without a key", async () => {
  expect((await service.get("healthz")).status).toBe(200);
  expect(await service.get("openapi.json")).toMatchObject({ status: 200, body: { openapi: "3.1.0" } });
});

it("records a task of v1, and shows, lists and cancels it", async () => {
  const { content, metadata } = example("text-to-image").task;
  const body = { runtime: metadata.runtime, type: metadata.tasktype, content };
  expect((await service.post("v1/tasks", body)).status).toBe(403);

  const answer = await service.post("v1/tasks", body, caller);
  expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 202, body: { status: "queued" } });
  const { id } = answer.body;
  const path = `v1/tasks/${id}`;
  expect(await service.get(path, caller)).toMatchObject({ status: 200, body: { id, status: "queued" } });
  expect((await service.get("v1/tasks", caller)).body.tasks).toMatchObject([{ id }]);
  expect((await service.get(path)).status).toBe(403);

  const canceled = await service.post(`${path}/cancel`, {}, caller);
  expect(canceled).toMatchObject({ status: 200, body: { status: "canceled" } });
  await queues.take("check-sdruntime", isTask(id));
});

it("takes an input by a presigned URL, which a task can name", async () => {
  const file = { content_type: "image/png", bytes: PNG.length };
  const { status, body } = await service.post("v1/uploads", file, caller);
  expect(status, JSON.stringify(body)).toBe(201);
  const { "content-length": _, ...headers } = body.headers;
  const put = await fetch(body.url, { method: body.method, headers, body: new Uint8Array(PNG) });
  expect(put.status).toBe(200);
  expect(await service.stored(body.address)).toHaveLength(PNG.length);
});

it("serves the console without a key, and each file that its page names", async () => {
  const page = await service.page("console");
  expect(page.headers.get("content-type")).toMatch(/^text\/html/);
  const files = [...(await page.text()).matchAll(/(?:src|href)="(console\/[^"]+)"/g)].map(
    ([, file]) => file ?? "",
  );
  expect(files.length).toBeGreaterThan(0);
  for (const file of files) expect((await service.page(file)).status, file).toBe(200);
});

it("takes a job by Comfy API v2, brings it to the queue of its runtime, and cancels it", async () => {
  const workflow = example("pipeline").task.content;
  const refused = await service.comfy("POST", "jobs", undefined, { workflow });
  expect(refused).toMatchObject({ status: 401, body: { error: { code: "unauthorized" } } });
  const accepted = await service.comfy("POST", "jobs", caller, { workflow });
  expect(accepted, JSON.stringify(accepted.body)).toMatchObject({ status: 201 });
  const { id } = accepted.body;
  expect(await service.comfy("GET", `jobs/${id}`, caller)).toMatchObject({ status: 200, body: { id } });
  const canceled = await service.comfy("POST", `jobs/${id}/cancel`, caller);
  expect(canceled, JSON.stringify(canceled.body)).toMatchObject({ status: 200, body: { id } });
  await queues.take("check-comfyui", isTask(id));
});

it("names everything that is wrong with a body", async () => {
  const body = example("text-to-image");
  body.task.metadata.runtime = "nobody";
  body.task.content.steps = "many";
  const problem = { status: 400, type: "application/problem+json" };
  const answer = await service.post("v1alpha2", body, caller);
  expect(answer).toMatchObject({ ...problem, body: { code: "invalid_task" } });
  const pointers = answer.body.violations.map(({ pointer }: Json) => pointer);
  expect(pointers).toContain("/task/metadata/runtime");

  const text = await service.post("v1alpha2", "{nope", caller);
  expect(text).toMatchObject({ ...problem, body: { code: "invalid_body" } });
});

it("brings a task to the queue of the runtime that it names", async () => {
  const answer = await service.post("v1alpha2", example("text-to-image", "by-name"), caller);
  expect(answer).toMatchObject({ status: 200, body: { id: "by-name", runtime: "sdruntime" } });
  const envelope = await queues.take("check-sdruntime", isTask("by-name"));
  expect(envelope.MessageAttributes).toEqual({ runtime: { Type: "String", Value: "sdruntime" } });

  expect((await service.post("v1alpha2", example("pipeline", "workflow"), caller)).status).toBe(200);
  await queues.take("check-comfyui", isTask("workflow"));
  expect(await queues.receive("check-sdruntime")).toBeUndefined();
});

it("brings a task of the first version to the queue of the runtime that serves its model", async () => {
  const answer = await service.post("v1alpha1", example("v1alpha1", "by-model"), caller);
  expect(answer).toMatchObject({ status: 200, body: { id_task: "by-model", runtime: "sdruntime" } });
  await queues.take("check-sdruntime", isTask("by-model"));
});

it("brings what a predecessor's front door publishes to the same queue, and strangers' tasks to none", async () => {
  await service.publish({ id: "stranger" }, "runtime", "nobody");
  await service.publish({ id: "other-model" }, "sd_model_checkpoint", "another.safetensors");
  await service.publish({ id: "legacy" }, "sd_model_checkpoint", config.runtimes[0]?.model ?? "");
  await queues.take("check-sdruntime", isTask("legacy"));
  expect(await queues.receive("check-sdruntime")).toBeUndefined();
  expect(await queues.receive("check-comfyui")).toBeUndefined();
});

it("fails a task in its dead-letter queue and sends a notification", async () => {
  const accepted = await service.post("v1alpha2", example("text-to-image", "poison"), caller);
  expect(accepted.status).toBe(200);
  await queues.exhaust("check-sdruntime");

  const notification = await queues.take("check-results-shop", isAbout("poison"));
  expect(notification).toMatchObject({
    result: false,
    task_status: "failed",
    error: { code: "dead_lettered" },
  });
  expect(await service.stored(notification.output_url)).toContain("dead_lettered");
  const { body: record } = await service.get(`v1/tasks/${accepted.body.submission}`, caller);
  expect(record).toMatchObject({ status: "failed", error: { code: "dead_lettered" } });
});

it("takes a task that is too large for a message by way of the bucket", async () => {
  const body = example("image-to-image", "large");
  body.task.content.init_images = [Buffer.concat([PNG, Buffer.alloc(600_000)]).toString("base64")];
  const answer = await service.post("v1alpha2", body, caller);
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  const envelope = await queues.take("check-sdruntime", isTask("large"));
  const { key, bytes } = JSON.parse(envelope.Message).claim_check;
  expect(await service.stored(`s3://${outputs.ResultsBucket}/${key}`)).toHaveLength(bytes);
});

// After all that look into its queue: the emulator keeps the long poll of a worker that has stopped, which may receive a message.
it("has a task done by a worker with the chart's variables", async () => {
  const [runtime] = config.runtimes;
  if (!runtime) throw new Error("the configuration has no runtime");
  const worker = await startWorker({ name: "worker", runtime, config, outputs, emulator, logs: folder });
  const accepted = await service.post("v1alpha2", example("text-to-image", "picture"), caller);
  expect(accepted.status).toBe(200);

  const notification = await queues.take("check-results-shop", isAbout("picture"));
  expect(notification).toMatchObject({ result: true, task_status: "succeeded", context: { userId: 123456 } });
  expect(notification.image_url).toHaveLength(1);
  expect(notification.image_url[0]).toMatch(/^s3:\/\/.*\/output\/picture\/picture-[0-9a-f]{16}-1\.png$/);
  expect(await service.stored(notification.image_url[0])).toMatch(/^.PNG/);
  expect(JSON.parse(await service.stored(notification.output_url))).toHaveProperty("parameters");
  const { body: record } = await service.get(`v1/tasks/${accepted.body.submission}`, caller);
  expect(record).toMatchObject({ status: "succeeded", output_url: notification.output_url });
  expect((await fetch(record.outputs[0].url)).status).toBe(200);
  expect(await stop(worker)).toBe(0);
});

it("answers 429 to a key that asks for more than its share", async () => {
  const answers = await Promise.all(Array.from({ length: 60 }, () => service.post("v1alpha2", {}, flood)));
  const refused = answers.filter(({ status }) => status === 429).length;
  expect(refused).toBeGreaterThan(0);
  expect(refused).toBeLessThan(answers.length);
});

it("leaves nothing when it is destroyed, but the role with which the account's APIs write logs", async () => {
  const during = await inventory(emulator);
  for (const [kind, names] of Object.entries(during)) {
    expect(names.length, `${kind}: the inventory sees what is there`).toBeGreaterThan(
      before[kind]?.length ?? 0,
    );
  }
  await service.tagBucket();
  await destroy(emulator.env, folder);

  const after = Object.values(await inventory(emulator)).flat();
  const bootstrap = /^(CDKToolkit$|cdk-hnb659fds-)/;
  const left = after.filter((name) => !Object.values(before).flat().includes(name) && !bootstrap.test(name));
  expect(left).toEqual([expect.stringMatching(/^check-service-FrontDoorApiCloudWatchRole/)]);
});
