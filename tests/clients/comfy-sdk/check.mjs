// Runs workflows through the official TypeScript SDK of Comfy (@comfyorg/sdk), unchanged, at COMFY_BASE_URL.
//
// Usage: node check.mjs before | node check.mjs after JOB ASSET
//
// `before` prints the ids of a job and an asset; `after` finds them again after a restart of the server.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

import { Comfy, IdempotencyKeyReuse, InvalidWorkflow, JobFailed, MissingAsset, NotFound, Unauthorized } from "@comfyorg/sdk";

const WAIT = { timeoutMs: 60_000 };

const comfy = new Comfy({ apiKey: process.env.COMFY_API_KEY });

const submit = (graph, options, client = comfy) => client.submit(client.workflows.fromJson(graph), options);
const run = (graph) => comfy.run(comfy.workflows.fromJson(graph), WAIT);

/** A workflow that saves a picture of that colour. */
function picture(color, inputs = {}) {
  return {
    1: { class_type: "EmptyImage", inputs: { width: 32, height: 32, batch_size: 1, color, ...inputs } },
    9: { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "v2/image" } },
  };
}

/** A workflow that inverts a picture. */
function inverted(image) {
  return {
    1: { class_type: "LoadImage", inputs: { image } },
    2: { class_type: "ImageInvert", inputs: { image: ["1", 0] } },
    9: { class_type: "SaveImage", inputs: { images: ["2", 0], filename_prefix: "v2/inverted" } },
  };
}

function isPng(bytes) {
  assert.deepEqual([...bytes.slice(1, 4)], [..."PNG"].map((letter) => letter.charCodeAt(0)));
}

async function before() {
  const job = await run(picture(1));
  const [output] = job.outputs;
  const png = await output.toBytes();
  isPng(png);
  assert.equal(png.length, output.sizeBytes);
  assert.equal((await output.toBytes({ range: [0, 7] })).length, 8);
  assert.deepEqual((await job.getWorkflow()).workflow, picture(1));
  for await (const event of job.events()) assert.fail(`there are no events, but ${event}`);

  const upload = () => comfy.assets.fromBytes(png, { filename: "a name.png", contentType: "image/png" });
  const asset = upload();
  isPng(await (await run(inverted(asset))).outputs[0].toBytes());
  const again = upload();
  assert.equal(await again.commit(), asset.id);
  assert.equal(again.createdNew, false);
  const missing = { __type: "core/ASSET", info: { id: randomUUID() } };
  await assert.rejects(submit(inverted(missing)), MissingAsset);

  const other = comfy.assets.fromBytes(png, { filename: "other.png", contentType: "image/png" });
  await other.commit();
  await other.delete();
  await assert.rejects(comfy.assets.get(other.id), NotFound);

  await assert.rejects(submit({}), InvalidWorkflow);
  await assert.rejects(run(picture(1, { width: "wide" })), JobFailed);
  const options = { idempotencyKey: randomUUID() };
  await submit(picture(2), options);
  await assert.rejects(submit(picture(2), options), IdempotencyKeyReuse);
  await assert.rejects(submit(picture(1), {}, new Comfy({ apiKey: "another key" })), Unauthorized);

  const [running, waiting] = [await submit(picture(3)), await submit(picture(4))];
  await waiting.cancel();
  await assert.rejects(waiting.result(), JobFailed);
  assert.equal((await running.wait(60_000)).status, "succeeded");

  console.log((await submit(picture(5))).id, asset.id);
}

async function after(job, asset) {
  isPng(await (await (await comfy.jobs.get(job)).result()).outputs[0].toBytes());
  assert.equal((await comfy.assets.get(asset)).filePath, "a name.png");
}

const [phase, ...ids] = process.argv.slice(2);
await (phase === "before" ? before() : after(...ids));
