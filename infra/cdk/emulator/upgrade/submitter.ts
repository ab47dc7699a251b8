// Tasks by the front door that is deployed, and what was submitted.

import { expect } from "vitest";

import { PNG } from "../support/png.ts";
import { type Answer, type Json, type Service, example } from "../support/service.ts";

/** A task that was accepted. */
export interface Sent {
  /** The caller's id, which the notification repeats. */
  id: string;
  runtime: string;
  /** The id of the POST: `submission` in messages, and the id of the task in `v1`. */
  submission: string;
  content: Json;
}

const PROMPT: Json = { prompt: "A dog" };

export class Submitter {
  readonly sent: Sent[] = [];

  constructor(
    private readonly service: () => Service,
    private readonly key: () => string | undefined,
  ) {}

  /** What was sent to that runtime under an id that begins so. */
  tasks(prefix: string, runtime: string): Sent[] {
    return this.sent.filter((task) => task.runtime === runtime && task.id.startsWith(prefix));
  }

  /** The only one of that id. */
  task(id: string, runtime: string): Sent {
    const [task] = this.tasks(id, runtime);
    if (!task) throw new Error(`${id} was not sent to ${runtime}`);
    return task;
  }

  /** Three tasks that both versions take: by name, by model, and one that is too large for a message. */
  async threeTasks(prefix: string, runtime: string, model: string | undefined): Promise<void> {
    await this.byName(`${prefix}-name`, runtime);
    const byModel = example("v1alpha1", `${prefix}-model`);
    byModel.alwayson_scripts.sd_model_checkpoint = model;
    const answer = await this.service().post("v1alpha1", byModel, this.key());
    this.accepted(answer, `${prefix}-model`, runtime, byModel);
    await this.byName(`${prefix}-large`, runtime, { not_a_field_of_sd_webui: "x".repeat(300_000) });
  }

  /** A task that names its runtime. */
  byName(id: string, runtime: string, more = {}): Promise<Sent> {
    const body = example("text-to-image", id);
    Object.assign(body.task.content, more);
    return this.v1alpha2(body, runtime);
  }

  workflow(id: string, runtime: string): Promise<Sent> {
    return this.v1alpha2(example("pipeline", id), runtime);
  }

  private async v1alpha2(body: Json, runtime: string): Promise<Sent> {
    body.task.metadata.runtime = runtime;
    const answer = await this.service().post("v1alpha2", body, this.key());
    return this.accepted(answer, body.task.metadata.id, runtime, body.task.content);
  }

  /** A task of `v1`. */
  async v1(name: string, runtime: string, type = "text-to-image", content = PROMPT): Promise<Sent> {
    const answer = await this.service().post("v1/tasks", { name, runtime, type, content }, this.key());
    return this.accepted(answer, name, runtime, content);
  }

  /** A task of `v1` whose image is a file that was uploaded. */
  async withUpload(name: string, runtime: string): Promise<Sent> {
    const file = { content_type: "image/png", bytes: PNG.length };
    const { status, body } = await this.service().post("v1/uploads", file, this.key());
    expect(status, JSON.stringify(body)).toBe(201);
    const { "content-length": _, ...headers } = body.headers;
    const put = await fetch(body.url, { method: body.method, headers, body: new Uint8Array(PNG) });
    expect(put.status).toBe(200);
    return this.v1(name, runtime, "image-to-image", { ...PROMPT, init_images: [body.address] });
  }

  /** A workflow of `v1` whose image is the result of a job of Comfy API v2. */
  async withResult(name: string, runtime: string, job: Sent): Promise<Sent> {
    const { body } = await this.service().comfy("GET", `jobs/${job.submission}`, this.key());
    const [{ id }] = body.outputs;
    const image = { __type: "core/ASSET", info: { id } };
    return this.v1(name, runtime, "pipeline", {
      "1": { class_type: "LoadImage", inputs: { image } },
      "2": { class_type: "SaveImage", inputs: { images: ["1", 0], filename_prefix: "ComfyUI" } },
    });
  }

  /** A task of `v1` that its owner has canceled; its message stays in the queue. */
  async canceled(name: string, runtime: string): Promise<Sent> {
    const sent = await this.v1(name, runtime);
    const answer = await this.service().post(`v1/tasks/${sent.submission}/cancel`, {}, this.key());
    expect(answer).toMatchObject({ status: 200, body: { status: "canceled" } });
    return sent;
  }

  /** A job of Comfy API v2; its id is also the id in the notification. */
  async job(runtime: string): Promise<Sent> {
    const workflow = example("pipeline").task.content;
    const answer = await this.service().comfy("POST", "jobs", this.key(), { workflow });
    return this.accepted(answer, answer.body.id, runtime, workflow);
  }

  /** The message of a task by name once more, as SQS delivers some twice. */
  async repeat({ id, runtime, submission, content }: Sent): Promise<void> {
    const { tasktype, prefix } = example("text-to-image").task.metadata;
    await this.service().publish({ id, runtime, tasktype, prefix, submission }, "runtime", runtime, content);
  }

  private accepted({ status, body }: Answer, id: string, runtime: string, content: Json): Sent {
    expect([200, 201, 202], JSON.stringify(body)).toContain(status);
    const sent = { id, runtime, submission: body.submission ?? body.id, content };
    this.sent.push(sent);
    return sent;
  }
}
