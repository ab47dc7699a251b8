import { readdirSync, readFileSync } from "node:fs";

import { CreateRepositoryCommand, ECRClient, PutImageCommand } from "@aws-sdk/client-ecr";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";

import { account } from "../../operate/preflight/account.ts";
import { functions } from "../../operate/preflight/functions.ts";
import { imageCache } from "../../operate/preflight/image-cache.ts";
import { images } from "../../operate/preflight/images.ts";
import { models } from "../../operate/preflight/models.ts";
import { results } from "../../operate/preflight/results.ts";
import { subscriptions } from "../../operate/preflight/subscriptions.ts";
import { tracing } from "../../operate/preflight/tracing.ts";
import { look, preflight } from "../../operate/preflight.ts";
import { aws, s3 } from "../../operate/support/aws.ts";
import { withLimits } from "./support/account.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { says } from "./support/says.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const limits = { quotas: {} as Record<string, number>, unreserved: 1000 };
withLimits(limits);
const terminal = withTerminal();
const region = { region: "us-west-2" };

describe("account", () => {
  test("the configuration's account is compared with the credentials'", async () => {
    expect(await says(account, configuration(`account: "${ACCOUNT}"`))).toEqual([
      `ok: the credentials belong to ${ACCOUNT}`,
      "ok: us-west-2 is enabled",
    ]);
    const [other] = await says(account, configuration('account: "999999999999"'));
    expect(other).toBe(
      `missing: the credentials belong to ${ACCOUNT}, the configuration is for 999999999999`,
    );
  });

  test("a region that has to be enabled first is named", async () => {
    const [, found] = await says(account, { ...configuration(), region: "me-central-1" });
    expect(found).toMatch(/^missing: me-central-1 is not enabled: `aws account enable-region/);
  });
});

describe("tracing", () => {
  test("X-Ray has to be prepared, agents and disabled traces need nothing", async () => {
    expect(await says(tracing, configuration())).toEqual([
      expect.stringMatching(/^note: .*get-trace-segment-destination --region us-west-2/),
    ]);
    const endpoint = "tracing: { endpoint: 'https://traces.example.com/v1/traces' }";
    expect(await says(tracing, configuration(endpoint))).toEqual([
      "ok: sent to https://traces.example.com/v1/traces, which pods must reach",
    ]);
    expect(await says(tracing, configuration("tracing: { enabled: false }"))).toEqual(["ok: off"]);
  });
});

describe("models", () => {
  const client = () => new S3Client(s3(region));

  test("a bucket that does not exist", async () => {
    expect(await says(models, configuration())).toEqual([
      "missing: the bucket models does not exist: `infra/operate upload-models FOLDER` makes it",
    ]);
  });

  test("a bucket elsewhere, and each model that a runtime serves", async () => {
    await new S3Client(s3({ region: "eu-west-1" })).send(
      new CreateBucketCommand({
        Bucket: "models",
        CreateBucketConfiguration: { LocationConstraint: "eu-west-1" },
      }),
    );
    await client().send(
      new PutObjectCommand({ Bucket: "models", Key: "Stable-diffusion/v1-5.safetensors", Body: "weights" }),
    );
    const config = configuration("", "    dynamicModel: true\n    models: [second.safetensors]");
    expect(await says(models, config)).toEqual([
      "missing: the bucket models is in eu-west-1: nodes in us-west-2 must not read across regions",
      "ok: Stable-diffusion/v1-5.safetensors (0.0 kB)",
      "missing: Stable-diffusion/second.safetensors is not in the bucket: `infra/operate upload-models FOLDER`",
    ]);
  });
});

describe("results", () => {
  const wanted = () => configuration("results: { bucket: my-images }");

  test("a bucket that outlived an earlier deployment is in the way, one that CloudFormation names never", async () => {
    expect(await says(results, wanted())).toEqual(["ok: my-images is free"]);
    await new S3Client(s3(region)).send(
      new CreateBucketCommand({
        Bucket: "my-images",
        CreateBucketConfiguration: { LocationConstraint: "us-west-2" },
      }),
    );
    const [found] = await says(results, wanted());
    expect(found).toMatch(/^missing: the bucket my-images exists, and a stack makes only new ones/);
    expect(await says(results, configuration())).toEqual(["ok: CloudFormation names the bucket"]);
  });
});

describe("images", () => {
  test("each image of a pod is looked up by its tag", async () => {
    const ecr = new ECRClient(aws(region));
    await ecr.send(new CreateRepositoryCommand({ repositoryName: "darkroom/worker" }));
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      layers: [],
    };
    await ecr.send(
      new PutImageCommand({
        repositoryName: "darkroom/worker",
        imageManifest: JSON.stringify(manifest),
        imageTag: "0.1.0",
      }),
    );
    const registry = `${ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/darkroom`;
    expect(await says(images, configuration())).toEqual([
      `ok: ${registry}/worker:0.1.0 is there`,
      `missing: ${registry}/sdwebui:0.1.0 does not exist: \`infra/images/build\` builds and pushes images, \`images.registry\` can name those of a release`,
    ]);
    expect((await says(images, configuration("images: { tag: 0.2.0 }")))[0]).toMatch(/^missing: /);
  });

  test("images of other registries are not looked for, and that is said", async () => {
    const found = await says(images, configuration("", "    image: ghcr.io/someone/webui:1"));
    expect(found[1]).toMatch(/^warning: ghcr\.io\/someone\/webui:1 is not in this account's registry/);
  });
});

describe("image cache", () => {
  test("a snapshot that does not exist", async () => {
    const config = configuration("imageCache: { mode: snapshot, snapshot: snap-0123456789abcdef0 }");
    expect(await says(imageCache, config)).toEqual([
      "missing: snap-0123456789abcdef0 does not exist in us-west-2: `infra/operate cache-images` makes one",
    ]);
  });

  test("by default it depends on the instance types", async () => {
    const of = (types: string) => configuration("", `    instances: { types: [${types}] }`);
    expect(await says(imageCache, of("g5.4xlarge"))).toEqual([
      "ok: soci: every instance type has an instance store",
    ]);
    expect(await says(imageCache, of("p3.2xlarge"))).toEqual([
      "ok: none for sdruntime: not all of its types have an instance store",
    ]);
  });

  test("soci wants instance stores, and says where it gains little", async () => {
    const of = (types: string) =>
      configuration("imageCache: { mode: soci }", `    instances: { types: [${types}] }`);
    expect(await says(imageCache, of("g5.4xlarge"))).toEqual([
      "ok: soci: every instance type has an instance store",
    ]);
    expect(await says(imageCache, of("g5.xlarge, g5g.xlarge"))).toEqual([
      "missing: soci unpacks onto the instance store, which g5g.xlarge lacks",
      expect.stringMatching(/^warning: soci gains little below 16 vCPUs: /),
    ]);
  });
});

describe("the whole", () => {
  test("what is missing is counted and named, whatever else is found", async () => {
    process.env["DARKROOM_FUNCTIONS"] = "/nowhere";
    expect(await says(functions, configuration())).toEqual([
      expect.stringMatching(
        /^missing: api-lambda\.zip and dead-letter\.zip not in \/nowhere: `infra\/build-functions`/,
      ),
    ]);
    limits.quotas = {};
    await expect(preflight(configuration())).rejects.toThrow(/missing: functions, images, models/);
    expect(terminal.text).toMatch(/^ok +account +the credentials belong to/m);
    expect(terminal.text).toMatch(/^warning +GPU quotas +could not be checked/m);
    expect(terminal.text).toMatch(/^missing +models +the bucket models does not exist/m);
  });

  test("each check of the folder is run", async () => {
    const folder = new URL("../../operate/preflight/", import.meta.url);
    const sources = readdirSync(folder).map((name) => readFileSync(new URL(name, folder), "utf8"));
    const checks = sources.flatMap((text) => text.match(/^export const \w+: Check\b/gm) ?? []);
    const found = await look(configuration("alarms: { email: a@example.com }"));
    expect(checks.length).toBeGreaterThan(10);
    expect(new Set(found.map(({ about }) => about)).size).toBe(checks.length);
  });

  test("subscriptions that wait for a confirmation are noted", async () => {
    const config = configuration(
      "subscriptions: { emails: [a@example.com], webhooks: ['https://example.com/x'] }",
    );
    expect(await says(subscriptions, config)).toEqual([
      "note: a@example.com: confirm by the link in the email, within 3 days",
      "note: https://example.com/x: must visit the SubscribeURL that SNS posts to it, within 3 days",
    ]);
  });
});
