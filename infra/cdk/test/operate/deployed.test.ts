// What commands do with a deployment: keys, a first task, the end. The stacks are small ones with the real
// one's outputs.

import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";

import { APIGatewayClient, CreateApiKeyCommand } from "@aws-sdk/client-api-gateway";
import { CloudFormationClient, CreateStackCommand, ListStacksCommand } from "@aws-sdk/client-cloudformation";
import { EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2";
import {
  CreateBucketCommand,
  HeadBucketCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { apiKeys } from "../../operate/api-keys.ts";
import { deploy } from "../../operate/deploy.ts";
import { destroy, losesResults } from "../../operate/destroy.ts";
import { deleteBucket } from "../../operate/destroy/bucket.ts";
import { submit } from "../../operate/submit.ts";
import { post } from "../../operate/submit/post.ts";
import { sample } from "../../operate/submit/sample.ts";
import { aws, s3 } from "../../operate/support/aws.ts";
import { Stacks } from "../../operate/support/stacks.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const terminal = withTerminal();
const config = configuration();
const [runtime] = config.runtimes;
const client = () => new S3Client(s3(config));
const stacks = () => Stacks.of(config);
const exists = (Bucket: string) =>
  client()
    .send(new HeadBucketCommand({ Bucket }))
    .then(
      () => true,
      () => false,
    );

/** A stack with outputs and, so that it holds something, a topic. */
async function makeStack(name: string, outputs: Record<string, string> = {}): Promise<void> {
  const Outputs = Object.fromEntries(Object.entries(outputs).map(([key, Value]) => [key, { Value }]));
  const template = {
    Resources: { Topic: { Type: "AWS::SNS::Topic", Properties: { TopicName: name } } },
    Outputs,
  };
  await new CloudFormationClient(aws(config)).send(
    new CreateStackCommand({ StackName: name, TemplateBody: JSON.stringify(template) }),
  );
}

async function makeBucket(Bucket: string, objects: string[]): Promise<void> {
  const CreateBucketConfiguration = { LocationConstraint: "us-west-2" } as const;
  await client().send(new CreateBucketCommand({ Bucket, CreateBucketConfiguration }));
  for (const Key of objects) await client().send(new PutObjectCommand({ Bucket, Key, Body: Key }));
}

async function stackNames(): Promise<string[]> {
  const { StackSummaries = [] } = await new CloudFormationClient(aws(config)).send(
    new ListStacksCommand({ StackStatusFilter: ["CREATE_COMPLETE"] }),
  );
  return StackSummaries.map(({ StackName }) => StackName ?? "").sort();
}

describe("api-keys", () => {
  test("prints each key of the configuration with the value that API Gateway made up", async () => {
    const gateway = new APIGatewayClient(aws(config));
    const made = await gateway.send(new CreateApiKeyCommand({ name: "darkroom-shop", enabled: true }));
    await makeStack("darkroom-service", { ApiKeys: JSON.stringify({ shop: made.id }) });
    expect(made.value).toBeTruthy();
    expect(await apiKeys(config)).toEqual([{ name: "shop", value: made.value }]);
  });

  test("says what is missing before a deployment", async () => {
    await expect(apiKeys(config)).rejects.toThrow(
      "the stack `darkroom-service` does not exist; `infra/darkroom deploy`",
    );
    await makeStack("darkroom-service");
    await expect(apiKeys(config)).rejects.toThrow("has no output `ApiKeys`");
  });
});

describe("deploy", () => {
  test("bootstraps once, deploys both stacks, and says how to begin", async () => {
    const calls: string[] = [];
    const cdk = async (...args: string[]) => {
      calls.push(args.slice(0, 2).join(" "));
      if (args[0] === "bootstrap") await makeStack("CDKToolkit");
      else if (!(await stacks().find("darkroom-service")))
        await makeStack("darkroom-service", {
          ApiUrl: "https://abc.execute-api.us-west-2.amazonaws.com/prod/",
        });
    };
    await deploy(config, cdk, stacks());
    await deploy(config, cdk, stacks());
    expect(calls).toEqual([`bootstrap aws://${ACCOUNT}/us-west-2`, "deploy --all", "deploy --all"]);
    expect(terminal.text).toContain("front door  https://abc.execute-api.us-west-2.amazonaws.com/prod\n");
    const [, body = ""] = /-d '(.*)'/.exec(terminal.text) ?? [];
    expect(JSON.parse(body).task.metadata.runtime).toBe("sdruntime");
  });
});

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
  const task = (id: string) => sample(runtime!, id, { prompt: "a fox" });

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
    const ended = await submit(door, client(), "results", task("first"), 30);
    expect(asked).toEqual([{ path: "/prod/v1alpha2", key: "secret" }]);
    expect(ended.files.map(({ data }) => Buffer.from(data).toString())).toEqual(["pixels"]);
    expect(terminal.text).toMatch(/submitted first to sdruntime\nsucceeded after \d+ s: {"run_ms":1500}/);
  });

  test("a task that failed is told with its cause", async () => {
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

  test("the samples keep to the contract that the front door checks", () => {
    const comfyui = sample({ ...runtime!, type: "comfyui" }, "x", { model: "v2.safetensors" });
    expect(comfyui.task.metadata.tasktype).toBe("pipeline");
    const nodes = Object.values(
      comfyui.task.content as Record<string, { class_type: string; inputs: object }>,
    );
    expect(nodes.map(({ class_type }) => class_type)).toContain("SaveImage");
    expect(JSON.stringify(nodes)).toContain("v2.safetensors");
    // Links lead to nodes that exist.
    const links = nodes.flatMap(({ inputs }) => Object.values(inputs).filter(Array.isArray)) as [
      string,
      number,
    ][];
    for (const [node] of links) expect(Object.keys(comfyui.task.content as object)).toContain(node);
    expect(links).toHaveLength(9);
  });
});

describe("destroy", () => {
  beforeEach(async () => {
    await makeBucket("models", ["Stable-diffusion/v1-5.safetensors"]);
    await makeBucket("results", ["output/a/a-1.png", "_darkroom/failed/x.json"]);
    await makeStack("darkroom-service", { ResultsBucket: "results" });
    await makeStack("darkroom-cluster");
    await makeStack("somebody-elses");
  });

  test("deletes both stacks and nothing else, and keeps both buckets", async () => {
    await destroy(config, stacks(), false);
    expect(await stackNames()).toEqual(["somebody-elses"]);
    expect([await exists("models"), await exists("results")]).toEqual([true, true]);
    expect(terminal.text).toMatch(/deleting the stack darkroom-cluster\ndeleting the stack darkroom-service/);
    expect(terminal.text).toContain("s3://results: the results");
    expect(terminal.text).toContain("s3://models: the models");
  });

  test("deletes the results if it is told to, and never the models", async () => {
    await destroy(config, stacks(), true);
    expect([await exists("models"), await exists("results")]).toEqual([true, false]);
    expect(terminal.text).not.toContain("s3://results: the results");
  });

  test("names GPU nodes that nobody ended", async () => {
    const ec2 = new EC2Client(aws(config));
    const tag = (Value: string) => [
      { ResourceType: "instance" as const, Tags: [{ Key: "darkroom:deployment", Value }] },
    ];
    const run = async (name: string) => {
      const ImageId = "ami-12345678";
      const { Instances } = await ec2.send(
        new RunInstancesCommand({ ImageId, MinCount: 1, MaxCount: 1, TagSpecifications: tag(name) }),
      );
      return Instances?.[0]?.InstanceId;
    };
    const [ours, others] = [await run("darkroom"), await run("another")];
    await destroy(config, stacks(), false);
    expect(terminal.text).toContain(`the instance ${ours}, which Karpenter launched`);
    expect(terminal.text).not.toContain(others);
  });

  test("does nothing where nothing is", async () => {
    await destroy(config, stacks(), false);
    terminal.text = "";
    await destroy(config, stacks(), true);
    expect(terminal.text).not.toContain("deleting");
    expect(await exists("results")).toBe(true);
  });

  test("knows from the deployed stack whether results go with it", async () => {
    expect(await losesResults(config, stacks())).toBe(false);
    const emptied = {
      Type: "Custom::S3AutoDeleteObjects",
      Properties: { ServiceToken: "arn:aws:sns:us-west-2:123456789012:x" },
    };
    const told: typeof stacks = () =>
      Object.assign(stacks(), {
        resources: async (_: string, type: string) => (type === emptied.Type ? ["x"] : []),
      });
    expect(await losesResults(config, told())).toBe(true);
  });
});

describe("a bucket's end", () => {
  test("more objects than one call deletes, and all their versions", async () => {
    await makeBucket("full", []);
    await client().send(
      new PutBucketVersioningCommand({ Bucket: "full", VersioningConfiguration: { Status: "Enabled" } }),
    );
    for (let n = 0; n < 1010; n += 100) {
      await Promise.all(
        Array.from({ length: 101 }, (_, i) =>
          client().send(new PutObjectCommand({ Bucket: "full", Key: `k${n + i}`, Body: "x" })),
        ),
      );
    }
    expect(await deleteBucket(client(), "full")).toBe(true);
    expect(await exists("full")).toBe(false);
    expect(await deleteBucket(client(), "full")).toBe(false);
    expect(terminal.text.match(/deleted \d+ objects/g)?.length).toBeGreaterThan(1);
  });
});

test("no command's help runs out of the terminal", async () => {
  const source = readFileSync(new URL("../../operate/main.ts", import.meta.url), "utf8");
  for (const [, path = ""] of source.matchAll(/import\("(\.\/[a-z-]+\.ts)"\)/g)) {
    const { command } = (await import(`../../operate/${path.slice(2)}`)) as { command: { help: string } };
    for (const line of command.help.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
  }
});
