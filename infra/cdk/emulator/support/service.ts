// The deployed service, as its callers and a predecessor's front door use it.

import { readFileSync } from "node:fs";

import { APIGatewayClient, GetApiKeyCommand } from "@aws-sdk/client-api-gateway";
import { GetObjectCommand, PutBucketTaggingCommand, S3Client } from "@aws-sdk/client-s3";
import { PublishCommand, SNSClient } from "@aws-sdk/client-sns";

import type { Outputs } from "./cdk.ts";
import { access, type Emulator } from "./emulator.ts";

/** Whatever a check reads. */
export type Json = any;

export interface Answer {
  status: number;
  type: string | null;
  body: Json;
}

export class Service {
  private readonly s3: S3Client;

  constructor(
    private readonly emulator: Emulator,
    private readonly outputs: Outputs,
  ) {
    this.s3 = new S3Client({ ...access(emulator), forcePathStyle: true });
  }

  get(path: string, key?: string): Promise<Answer> {
    return this.send("GET", path, key);
  }

  post(path: string, body: Json, key?: string): Promise<Answer> {
    return this.send("POST", path, key, typeof body === "string" ? body : JSON.stringify(body));
  }

  private async send(method: string, path: string, key?: string, body?: string): Promise<Answer> {
    const address = this.address(this.outputs.ApiUrl, path);
    return answerOf(await fetch(address, request(method, key && { "x-api-key": key }, body)));
  }

  /**
   * As an SDK of Comfy calls the API that is for it. After the authorizer, the emulator reads the key from `x-api-key` only, and not from
   * what the authorizer returns.
   */
  async comfy(method: string, path: string, key?: string, body?: Json): Promise<Answer> {
    const address = this.address(this.outputs.ComfyUrl, `api/v2/${path}`);
    const text = body && JSON.stringify(body);
    return answerOf(
      await fetch(
        address,
        request(method, key && { authorization: `Bearer ${key}`, "x-api-key": key }, text),
      ),
    );
  }

  /** What a browser gets. */
  page(path: string): Promise<Response> {
    return fetch(this.address(this.outputs.ApiUrl, path));
  }

  /** The values of the API keys, by name. */
  async keys(): Promise<Record<string, string>> {
    const api = new APIGatewayClient(access(this.emulator));
    const keys: Record<string, string> = {};
    for (const [name, apiKey] of Object.entries<string>(JSON.parse(this.outputs.ApiKeys))) {
      keys[name] = (await api.send(new GetApiKeyCommand({ apiKey, includeValue: true }))).value ?? "";
    }
    return keys;
  }

  /** As a predecessor's front door does: a task, and one attribute. */
  async publish(metadata: object, attribute: string, StringValue: string, content = {}): Promise<void> {
    const message = {
      TopicArn: this.outputs.TasksTopicArn,
      Message: JSON.stringify({ metadata, content }),
      MessageAttributes: { [attribute]: { DataType: "String", StringValue } },
    };
    await new SNSClient(access(this.emulator)).send(new PublishCommand(message));
  }

  /** What is at an `s3://` address, byte by byte. */
  async stored(uri: string): Promise<string> {
    const { host, pathname } = new URL(uri);
    const place = { Bucket: host, Key: decodeURIComponent(pathname.slice(1)) };
    const { Body } = await this.s3.send(new GetObjectCommand(place));
    return (await Body?.transformToString("latin1")) ?? "";
  }

  /** The emulator leaves out the tags of a template's bucket, and CDK empties only a bucket that has this one. */
  async tagBucket(): Promise<void> {
    const Tagging = { TagSet: [{ Key: "aws-cdk:auto-delete-objects", Value: "true" }] };
    await this.s3.send(new PutBucketTaggingCommand({ Bucket: this.outputs.ResultsBucket, Tagging }));
  }

  /** The address in the emulator of what the output names on AWS. */
  private address(url: string, path: string): string {
    const api = new URL(url).host.split(".")[0];
    return `${this.emulator.url}/restapis/${api}/prod/_user_request_/${path}`;
  }
}

const request = (method: string, authorization: Record<string, string> | "" | undefined, body?: string) => ({
  method,
  headers: { "content-type": "application/json", ...(authorization || {}) },
  body: body ?? null,
});

const answerOf = async (answer: Response): Promise<Answer> => ({
  status: answer.status,
  type: answer.headers.get("content-type"),
  body: await answer.json(),
});

/** A golden request body of the contract, under an id of its own. */
export function example(name: string, id = name): Json {
  const file = new URL(`../../../../shared-schema/examples/valid/${name}.json`, import.meta.url);
  const { body } = JSON.parse(readFileSync(file, "utf8"));
  if (body.task) body.task.metadata.id = id;
  else body.alwayson_scripts.id_task = id;
  return body;
}
