// The previous version, this one over it, and the way back, with tasks in the queues. checks/upgrade/README.md says what it proves.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, expect, it } from "vitest";

import { startEmulator } from "../support/emulator.ts";
import { stop, stopAll } from "../support/programs.ts";
import { Deployment } from "./deployment.ts";
import { Notifications } from "./notifications.ts";
import { exported, imported } from "./stack.ts";
import { type Sent, Submitter } from "./submitter.ts";
import { newVersion, previousVersion, type Version } from "./version.ts";

const logs = mkdtempSync(join(tmpdir(), "darkroom-upgrade-"));
const submitter = new Submitter(
  () => deployment.service,
  () => deployment.state.key,
);

let previous: Version;
let next: Version;
let deployment: Deployment;
let notifications: Notifications;
let job: Sent;

beforeAll(async () => {
  console.log(`logs: ${logs}`);
  previous = await previousVersion(logs);
  next = await newVersion(logs);
  deployment = new Deployment(await startEmulator(logs), logs);
  notifications = new Notifications(deployment.queues);
  await deployment.deploy(previous);
});
afterAll(stopAll);

it("takes tasks by the previous front door, which stay in the queues", async () => {
  await submitter.threeTasks("old", "old-first", model("old-first"));
  await submitter.threeTasks("old", "new-first", model("new-first"));
  await submitter.workflow("old-workflow", "comfyui");
  await submitter.byName("poison", "unserved");
});

it("keeps queues, addresses, keys and messages in an update of the stack", async () => {
  const before = { ...deployment.state, waiting: await deployment.waiting() };
  await deployment.deploy(next);
  expect(deployment.state).toMatchObject(before);
});

it("exports what the previous stack of the cluster imports, and what only the new one does", () => {
  expect(exported(next)).toEqual(expect.arrayContaining(imported(previous)));
  expect(exported(next)).toEqual(expect.arrayContaining(imported(next)));
  // So the stack of the service is the first in an update, and the last on the way back.
  const missing = imported(next).filter((name) => !exported(previous).includes(name));
  expect(missing.length).toBeGreaterThan(0);
  for (const name of missing) expect(name).toContain("TaskRecords");
});

it("has a previous worker do the tasks of both front doors, without the new features", async () => {
  await submitter.threeTasks("new", "old-first", model("old-first"));
  await submitter.v1("v1", "old-first");
  const canceled = await submitter.canceled("canceled", "old-first");
  const upload = await submitter.withUpload("upload", "old-first");

  const worker = await deployment.serve(previous, "old-first");
  await succeed("", "old-first", upload);
  // It does not read uploads.
  expect(await notifications.about(upload)).toMatchObject(failed("input_refused"));
  expect(await stop(worker)).toBe(0);

  // It does not know of records either: it has run what is canceled, and the others look as if they waited.
  expect(await deployment.record(canceled)).toBe("canceled");
  for (const task of ["new", "v1"].flatMap((prefix) => submitter.tasks(prefix, "old-first"))) {
    expect(await deployment.record(task), task.id).toBe("queued");
  }
});

it("has new workers do the tasks of both front doors, and record those of the new one", async () => {
  await submitter.threeTasks("new", "new-first", model("new-first"));
  await submitter.v1("v1", "new-first");
  await submitter.withUpload("upload", "new-first");
  const canceled = await submitter.canceled("canceled", "new-first");
  job = await submitter.job("comfyui");

  const workers = [await deployment.serve(next, "new-first"), await deployment.serve(next, "comfyui")];
  await succeed("", "new-first", canceled);
  await succeed("", "comfyui");
  const result = await submitter.withResult("result", "comfyui", job);
  await succeed("result", "comfyui");
  expect(await notifications.about(canceled)).toMatchObject({ task_status: "canceled" });
  for (const worker of workers) expect(await stop(worker)).toBe(0);

  expect(await deployment.record(canceled)).toBe("canceled");
  const recorded = ["new", "v1", "upload"].flatMap((prefix) => submitter.tasks(prefix, "new-first"));
  for (const task of [...recorded, job, result])
    expect(await deployment.record(task), task.id).toBe("succeeded");
});

it("has a new worker finish what a previous one released, and know what that one has finished", async () => {
  await submitter.v1("released-1", "old-first");
  await submitter.v1("released-2", "old-first");
  await deployment.interrupt(previous, "old-first");
  const done = submitter.task("old-name", "old-first");
  await submitter.repeat(done);

  const worker = await deployment.serve(next, "old-first");
  await succeed("released", "old-first");
  await notifications.about(done, 2);
  expect(await stop(worker)).toBe(0);
  for (const task of submitter.tasks("released", "old-first")) {
    expect(await deployment.record(task), task.id).toBe("succeeded");
  }
});

it("has the new function fail a task of the previous version in its dead-letter queue", async () => {
  await deployment.queues.exhaust("check-unserved");
  const poison = submitter.task("poison", "unserved");
  expect(await notifications.about(poison)).toMatchObject(failed("dead_lettered"));
});

it("keeps queues, addresses, keys, messages and records on the way back", async () => {
  await submitter.threeTasks("back", "new-first", model("new-first"));
  await submitter.v1("back-v1", "new-first");
  await submitter.withUpload("back-upload", "new-first");
  await submitter.job("comfyui");
  await submitter.withResult("back-result", "comfyui", job);
  await submitter.v1("back-poison", "unserved");
  // The workers go back first.
  await deployment.interrupt(next, "new-first");

  const before = { ...deployment.state, waiting: await deployment.waiting() };
  const { RecordsTable } = before.outputs;
  const items = await deployment.items(RecordsTable);
  await deployment.deploy(previous);
  expect(before).toMatchObject(deployment.state);
  expect(items).toBeGreaterThan(0);
  expect(await deployment.items(RecordsTable)).toBe(items);
  expect((await deployment.service.get("v1/tasks", deployment.state.key)).status).toBe(403);
});

it("has previous workers do what is left, and know what a new one has finished", async () => {
  await submitter.threeTasks("last", "new-first", model("new-first"));
  const done = submitter.task("new-name", "new-first");
  await submitter.repeat(done);

  const workers = [
    await deployment.serve(previous, "new-first"),
    await deployment.serve(previous, "comfyui"),
  ];
  const upload = submitter.task("back-upload", "new-first");
  await succeed("back", "new-first", upload);
  await succeed("last", "new-first");
  const result = submitter.task("back-result", "comfyui");
  await succeed("", "comfyui", result);
  expect(await notifications.about(upload)).toMatchObject(failed("input_refused"));
  expect(await notifications.about(result)).toMatchObject(failed("runtime_rejected"));
  await notifications.about(done, 2);
  for (const worker of workers) expect(await stop(worker)).toBe(0);
});

it("has the previous function fail a task of the new version in its dead-letter queue", async () => {
  await deployment.queues.exhaust("check-unserved");
  const poison = submitter.task("back-poison", "unserved");
  expect(await notifications.about(poison)).toMatchObject(failed("dead_lettered"));
});

it("has new, empty records after another update", async () => {
  await deployment.deploy(next);
  expect(await deployment.items(deployment.state.outputs.RecordsTable)).toBe(0);
  expect(await deployment.record(job)).toBe("answered 404");
});

it("has lost nothing: each task has one terminal state, and the queues are empty", async () => {
  const repeated = 2;
  await notifications.expectOneStateOf(submitter.sent, deployment.service);
  expect(notifications.count).toBe(submitter.sent.length + repeated);
  for (const [queue, count] of Object.entries(await deployment.waiting())) expect(count, queue).toBe(0);
  const report = process.env["DARKROOM_REPORT"];
  if (report) writeFileSync(report, `${submitter.sent.length} tasks, ${notifications.tasks} results\n`);
});

/** What the notification of a failed task has. */
const failed = (code: string) => ({ task_status: "failed", error: { code } });

/** The model of a runtime, by which tasks of `v1alpha1` come to it. */
function model(name: string): string | undefined {
  return previous.checked.runtimes.find((runtime) => runtime.name === name)?.model;
}

/** Waits for the results of a runtime's tasks whose ids begin so, and expects that all but one succeeded. */
async function succeed(prefix: string, runtime: string, except?: Sent): Promise<void> {
  for (const task of submitter.tasks(prefix, runtime).filter((task) => task !== except)) {
    expect(await notifications.about(task), task.id).toMatchObject({ task_status: "succeeded" });
  }
}
