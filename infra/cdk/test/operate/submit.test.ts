// A first task against a small front door of the test's own, with results in moto.

import { createServer, type Server } from "node:http";

import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { submit } from "../../operate/submit.ts";
import { post } from "../../operate/submit/post.ts";
import { firstTask } from "../../operate/submit/first-task.ts";
import { s3 } from "../../operate/support/aws.ts";
import { configuration } from "./support/configuration.ts";
import { makeBucket } from "./support/deployment.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const terminal = withTerminal();
const config = configuration();
const [runtime] = config.runtimes;
const client = () => new S3Client(s3(config));

describe("submit", () => {
  let server: Server;
  let door = { url: "", key: "secret" };
  let respond: (body: { task: { metadata: { id: string; prefix: string } } }) => Promise<void>;
  let asked: { path?: string; key?: string | string[] }[];
  let refusals: number[];

  beforeEach(async () => {
    asked = [];
    refusals = [];
    respond = async () => {};
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (part) => (body += part));
      request.on("end", () => {
        asked.push({ path: request.url, key: request.headers["x-api-key"] });
        const refusal = refusals.shift();
        if (refusal !== undefined) return response.writeHead(refusal).end('{"message":"Forbidden"}');
        response.writeHead(200).end('{"submission":"s","output_location":"s3://results/x"}');
        return void respond(JSON.parse(body));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    door = { ...door, url: `http://127.0.0.1:${(server.address() as { port: number }).port}/prod/` };
    await makeBucket("results", []);
  });
  afterEach(() => void server.close());

  const store = (Key: string, Body: string | Uint8Array) =>
    client().send(new PutObjectCommand({ Bucket: "results", Key, Body }));
  const task = (id: string) => firstTask(config, runtime!, id, { prompt: "a fox" });

  test("waits for `.out`, and brings the image", async () => {
    respond = async ({ task: { metadata } }) => {
      const key = `${metadata.prefix}/${metadata.id}/${metadata.id}-0a1b2c3d`;
      await store(`${key}-1.png`, "pixels");
      await new Promise((resolve) => setTimeout(resolve, 1200));
      const notification = {
        task_status: "succeeded",
        image_url: [`s3://results/${key}-1.png`],
        timings: { run_ms: 1500 },
      };
      await store(`${key}.out`, JSON.stringify({ notification }));
    };
    const completed = await submit(door, client(), "results", task("first"), 30);
    expect(asked).toEqual([{ path: "/prod/v1alpha2", key: "secret" }]);
    expect(completed.files.map(({ data }) => Buffer.from(data).toString())).toEqual(["pixels"]);
    expect(terminal.text).toMatch(/submitted first to sdruntime\nsucceeded after \d+ s: {"run_ms":1500}/);
  });

  test("a task that failed is reported with its cause", async () => {
    respond = async ({ task: { metadata } }) => {
      const error = { code: "out_of_memory", message: "CUDA out of memory" };
      const notification = { task_status: "failed", image_url: [], error };
      await store(`${metadata.prefix}/${metadata.id}/${metadata.id}-1.out`, JSON.stringify({ notification }));
    };
    await expect(submit(door, client(), "results", task("bad"), 30)).rejects.toThrow(
      "failed: out_of_memory CUDA out of memory",
    );
  });

  test("what never ends is given up", async () => {
    await expect(submit(door, client(), "results", task("lost"), 1)).rejects.toThrow("nothing came in");
  });

  test("a fresh key is refused for a while; what is wrong is refused at once", async () => {
    refusals = [403, 403];
    await post(door, task("patient"));
    expect(asked).toHaveLength(3);
    refusals = [403];
    await expect(post(door, task("impatient"), -1)).rejects.toThrow("answered 403");
    refusals = [400];
    await expect(post(door, task("wrong"))).rejects.toThrow("answered 400");
    await expect(post({ ...door, url: "http://127.0.0.1:1" }, task("nobody"))).rejects.toThrow(
      "cannot be reached",
    );
  });

  test("a first task is of the runtime's own type, and may have a content of the caller's", () => {
    const config = configuration("", "  - { name: comfyui, type: comfyui }");
    const [sdwebui, comfyui] = config.runtimes;
    expect(firstTask(config, sdwebui!, "x", { prompt: "a fox" }).task).toMatchObject({
      metadata: { id: "x", tasktype: "text-to-image", prefix: "darkroom-submit" },
      content: { prompt: "a fox" },
    });
    const workflow = firstTask(config, comfyui!, "x", { model: "v2.safetensors" });
    expect(workflow.task.metadata.tasktype).toBe("pipeline");
    expect(JSON.stringify(workflow.task.content)).toContain("v2.safetensors");
    expect(firstTask(config, comfyui!, "x", { content: { a: 1 } }).task.content).toEqual({ a: 1 });
  });
});
