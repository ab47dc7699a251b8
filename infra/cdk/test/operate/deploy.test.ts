// What deploying says and does, and the keys of what is deployed.

import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { APIGatewayClient, CreateApiKeyCommand } from "@aws-sdk/client-api-gateway";
import { describe, expect, test } from "vitest";

import { load } from "../../lib/config/load.ts";
import { apiKeys } from "../../operate/api-keys.ts";
import { withAdministrators } from "../../operate/deploy/administrators.ts";
import { deploy } from "../../operate/deploy.ts";
import { aws } from "../../operate/support/aws.ts";
import { INFRA } from "../../operate/support/paths.ts";
import { Stacks } from "../../operate/support/stacks.ts";
import { FUNCTIONS } from "../support/service.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { makeStack } from "./support/deployment.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const terminal = withTerminal();
const config = configuration();
const stacks = () => Stacks.of(config);

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
      "the stack `darkroom-service` does not exist; `infra/operate deploy`",
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

describe("administrators", () => {
  const file = () => {
    const path = join(mkdtempSync(join(tmpdir(), "administrators-")), "config.yaml");
    const lines = [
      "region: us-west-2 # here",
      "modelBucket: models",
      "runtimes:",
      "  - { name: a, type: comfyui }",
    ];
    writeFileSync(path, `${lines.join("\n")}\n`);
    return path;
  };
  const given = async (answered: string | undefined, path = file()) => {
    const { cluster } = await withAdministrators(path, load(path), async () => answered);
    return { administrators: cluster.administrators, text: readFileSync(path, "utf8") };
  };

  test("are asked for before a cluster is made, and written into the file", async () => {
    const ops = "arn:aws:iam::123456789012:role/ops";
    const { administrators, text } = await given(ops);
    expect(administrators).toEqual([ops]);
    expect(text).toContain("region: us-west-2 # here\n");
    expect(text).toMatch(/\ncluster:\n {2}administrators: \["arn:aws:iam::123456789012:role\/ops"\]\n$/);
  });

  test("are asked for by the command, before it checks the account", async () => {
    const env = { ...process.env, DARKROOM_FUNCTIONS: FUNCTIONS };
    const printed = await new Promise<string>((done) => {
      const program = resolve(INFRA, "operate");
      const child = execFile(program, ["deploy", "--config", file()], { env }, (_, out) => done(out));
      child.stdin?.end();
    });
    // Nobody is at a terminal, and the account has nothing that a deployment needs.
    expect(printed).toMatch(/^nobody may use kubectl; `cluster\.administrators` .*\n(.*\n)*missing +models/);
  });

  test("an answer that is no ARN changes nothing", async () => {
    const path = file();
    const before = readFileSync(path, "utf8");
    await expect(given("me", path)).rejects.toThrow("cluster.administrators.0");
    expect(readFileSync(path, "utf8")).toBe(before);
  });

  test("nobody has to answer, and later deployments do not ask", async () => {
    expect((await given("")).administrators).toEqual([]);
    expect((await given(undefined)).administrators).toEqual([]);
    await makeStack("darkroom-cluster");
    const asks = async () => Promise.reject(new Error("was asked"));
    const path = file();
    expect((await withAdministrators(path, load(path), asks)).cluster.administrators).toEqual([]);
  });
});
