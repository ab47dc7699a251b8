import { mkdir, readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";

import { S3Client } from "@aws-sdk/client-s3";

import { type Body, load } from "../lib/config/load.ts";
import type { Config, Runtime } from "../lib/config/types.ts";
import { apiKeys } from "./api-keys.ts";
import { firstTask } from "./submit/first-task.ts";
import { type Door, post } from "./submit/post.ts";
import { awaitOut, download, type Completed } from "./submit/result.ts";
import { s3 } from "./support/aws.ts";
import type { Command } from "./support/command.ts";
import { duration, say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";
import { serviceStack, Stacks } from "./support/stacks.ts";

export const command: Command = {
  help: `Submits a first task, waits for its result in the bucket, and downloads the image.
Needs the right to read the API key (apigateway:GET) and the results bucket (s3:ListBucket, s3:GetObject). While there
is no GPU node the first image takes minutes; \`measure\` says which part takes how long.`,
  options: {
    runtime: { type: "string", description: "which runtime (the first one of the configuration)" },
    prompt: { type: "string", description: "what to draw" },
    model: { type: "string", description: "the checkpoint, for runtimes whose tasks name one" },
    workflow: { type: "string", description: "a file with a workflow in ComfyUI's API format" },
    out: { type: "string", description: "the folder for the image (the current one)" },
    timeout: { type: "string", description: "minutes to wait (30)" },
  },
  async run({ file, values }) {
    const text = (name: string) => values[name] as string | undefined;
    const config = load(file);
    const runtime = chooseRuntime(config, text("runtime"));
    const task = firstTask(config, runtime, freshId(), {
      prompt: text("prompt"),
      model: text("model"),
      content: await workflow(text("workflow")),
    });
    const { door, bucket } = await deployed(config);
    const completed = await submit(door, new S3Client(s3(config)), bucket, task, minutes(text("timeout")));
    const folder = text("out") ?? ".";
    await mkdir(folder, { recursive: true });
    for (const { uri, data } of completed.files) {
      const path = join(folder, basename(uri));
      await writeFile(path, data);
      say(`  ${path}`);
    }
  },
};

/** Posts a task and waits until it is complete. Throws if it has no image. */
export async function submit(
  door: Door,
  client: S3Client,
  bucket: string,
  body: Body,
  timeoutSeconds: number,
): Promise<Completed & { files: { uri: string; data: Uint8Array }[] }> {
  const begun = Date.now();
  const { id } = body.task.metadata;
  await post(door, body);
  say(`submitted ${id} to ${body.task.metadata.runtime}`);
  const completed = await awaitOut(client, bucket, `${body.task.metadata.prefix}/${id}/`, timeoutSeconds);
  const { task_status, error, timings, image_url } = completed.notification;
  if (task_status !== "succeeded") {
    throw new Failure(`${task_status}: ${error?.code ?? ""} ${error?.message ?? ""}\n  ${completed.uri}`);
  }
  say(`succeeded after ${duration((Date.now() - begun) / 1000)}: ${JSON.stringify(timings)}`);
  return { ...completed, files: await download(client, image_url) };
}

/** Where a deployment takes tasks and leaves results. */
export async function deployed(config: Config): Promise<{ door: Door; bucket: string }> {
  const stacks = Stacks.of(config);
  const stack = serviceStack(config);
  const [url, bucket, keys] = await Promise.all([
    stacks.output(stack, "ApiUrl"),
    stacks.output(stack, "ResultsBucket"),
    apiKeys(config),
  ]);
  const [first] = keys;
  if (!first) throw new Failure(`the stack \`${stack}\` has no API key`);
  return { door: { url, key: first.value }, bucket };
}

export function chooseRuntime({ runtimes }: Config, name?: string): Runtime {
  const chosen = name === undefined ? runtimes[0] : runtimes.find((runtime) => runtime.name === name);
  if (!chosen)
    throw new Failure(
      `there is no runtime ${name}; there are ${runtimes.map(({ name }) => name).join(", ")}`,
    );
  return chosen;
}

/** A name that no task had before: results are found by it. */
export const freshId = () => `submit-${new Date().toISOString().replace(/[-:.]/g, "")}`;

async function workflow(path: string | undefined): Promise<unknown> {
  return path === undefined ? undefined : JSON.parse(await readFile(path, "utf8"));
}

function minutes(text = "30"): number {
  const value = Number(text);
  if (!(value > 0)) throw new Failure(`--timeout ${text}: minutes above 0`);
  return value * 60;
}
