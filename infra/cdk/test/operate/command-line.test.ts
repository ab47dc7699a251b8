// The commands as they are typed: what they print and how they end.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { parse } from "../../lib/config/load.ts";
import { program } from "../../lib/config/program.ts";
import type { Config } from "../../lib/config/types.ts";
import { describe as describeConfig } from "../../operate/check-config.ts";
import { INFRA } from "../../operate/support/paths.ts";

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "darkroom-commands-"))));
afterAll(() => rmSync(folder, { recursive: true }));

function operate(...args: string[]) {
  // Without a home there are no credentials, and there is nobody at the terminal.
  const env = {
    PATH: process.env["PATH"],
    HOME: folder,
    AWS_EC2_METADATA_DISABLED: "true",
    DARKROOM_CONFIG_PROGRAM: program(),
  };
  const done = spawnSync(resolve(INFRA, "operate"), args, {
    encoding: "utf8",
    cwd: folder,
    env,
    input: "",
  });
  return { status: done.status, out: done.stdout, err: done.stderr };
}

function written(text: string): string {
  const file = join(folder, "config.yaml");
  writeFileSync(file, text);
  return file;
}

const VALID = `
region: us-west-2
modelBucket: models
runtimes: [{ name: sdruntime, type: sdwebui, model: v1-5.safetensors }]
`;

describe("the commands", () => {
  test("are listed, and each explains itself", () => {
    const { status, out } = operate("help");
    expect(status).toBe(0);
    const names = [...out.matchAll(/^ {2}(\S+) {2,}\S/gm)].map(([, name]) => name ?? "");
    expect(names).toEqual(
      expect.arrayContaining([
        "check-config",
        "preflight",
        "deploy",
        "update",
        "destroy",
        "upload-models",
        "measure",
      ]),
    );
    const { out: help } = operate("destroy", "--help");
    expect(help).toContain("infra/operate destroy [options]");
    expect(help).toContain("--delete-results");
  });

  test("that do not exist, and options and arguments that nobody knows, are refused", () => {
    expect(operate("demolish")).toMatchObject({
      status: 2,
      err: expect.stringContaining("no command `demolish`"),
    });
    expect(operate()).toMatchObject({ status: 2 });
    expect(operate("preflight", "--fast")).toMatchObject({
      status: 1,
      err: expect.stringContaining("'--fast'"),
    });
    expect(operate("preflight", "now")).toMatchObject({
      status: 1,
      err: expect.stringContaining("now is not expected"),
    });
    expect(operate("upload-models")).toMatchObject({
      status: 1,
      err: expect.stringContaining("FOLDER is missing"),
    });
  });
});

describe("check-config", () => {
  test("says what a configuration means", () => {
    const { status, out } = operate("check-config", "--config", written(VALID));
    expect(status).toBe(0);
    expect(out).toMatch(/^records +kept for 30 days; any number of unfinished tasks per key$/m);
    expect(out).toMatch(/sdruntime +sdwebui +darkroom-sdruntime +0 to 10 +spot-first: g4dn\.xlarge/);
  });

  test("says what launches nodes, and lists no part that EKS Auto Mode includes", () => {
    const cluster = (change: Partial<Config["cluster"]>) => {
      const config = parse(VALID);
      return /^cluster +(.*)$/m.exec(
        describeConfig({ ...config, cluster: { ...config.cluster, ...change } }),
      )?.[1];
    };
    expect(cluster({})).toMatch(/2 × m7g.large; installs keda, karpenter, .*, podIdentityAgent$/);
    expect(cluster({ nodes: "auto" })).toMatch(/EKS Auto Mode; installs keda, modelsDriver, observability$/);
    expect(cluster({ nodes: "auto", existing: "production" })).toBe(
      "the existing production, in EKS Auto Mode; installs keda, modelsDriver, observability, podIdentityAgent",
    );
  });

  test("names everything that is wrong, and ends with 1", () => {
    const file = written(
      VALID.replace("models\n", "models\napi: { burst: 0 }\n").replace("sdwebui", "invokeai"),
    );
    const { status, err } = operate("check-config", "--config", file);
    expect(status).toBe(1);
    expect(err).toContain("api.burst");
    expect(err).toContain("runtimes.0.type: must be one of sdwebui, comfyui");
    expect(err).not.toContain("at Object");
  });

  test("the configuration of the repository is valid", () => {
    expect(operate("check-config")).toMatchObject({ status: 0 });
  });
});

test("costs reckons any configuration without calling anybody", () => {
  const { status, out } = operate("costs", "--config", written(VALID), "--seconds", "3");
  expect(status).toBe(0);
  expect(out).toContain("1 M × 3 s = 833.33 h");
  expect(out).toContain("EKS control plane");
});

describe("plan", () => {
  test("plans any configuration without calling anybody", () => {
    const { status, out } = operate(
      "plan",
      "--config",
      written(VALID),
      "--per-hour",
      "600",
      "--run-seconds",
      "7",
    );
    expect(status).toBe(0);
    expect(out).toContain("600 tasks ÷ 3,600 s × 7.002 s");
    expect(out).toContain("EC2: vCPUs of G instances, Spot");
    expect(out).not.toContain("A burst");
  });

  test("names what is missing or wrong", () => {
    const file = written(`${VALID.trimEnd().slice(0, -1)}, { name: comfyui, type: comfyui }]\n`);
    const refused = (...args: string[]) => operate("plan", "--config", file, ...args);
    expect(refused("--per-hour", "5")).toMatchObject({
      status: 1,
      err: "--runtime is missing: one of sdruntime, comfyui\n",
    });
    expect(refused("--runtime", "comfy")).toMatchObject({
      status: 1,
      err: "there is no runtime comfy: sdruntime, comfyui\n",
    });
    expect(refused("--runtime", "comfyui").err).toContain("--per-hour is missing");
    for (const wrong of ["0", "-5", "many", "1e12", "NaN"]) {
      expect(refused("--runtime", "comfyui", `--per-hour=${wrong}`).err).toContain("is no number above 0");
    }
    expect(refused("--runtime", "comfyui", "--per-hour", "1e9", "--run-seconds", "1000").err).toContain(
      "277778333 GPUs",
    );
    expect(refused("--runtime", "comfyui", "--per-hour", "60")).toMatchObject({ status: 0 });
  });
});

test("without credentials a command says so in one line", () => {
  const { status, err } = operate("api-keys", "--config", written(VALID));
  expect(status).toBe(1);
  expect(err.trim()).toBe(
    "there are no AWS credentials: `aws sts get-caller-identity` must work in this shell",
  );
});

test("no command's help runs out of the terminal", async () => {
  const source = readFileSync(new URL("../../operate/main.ts", import.meta.url), "utf8");
  for (const [, path = ""] of source.matchAll(/import\("(\.\/[a-z-]+\.ts)"\)/g)) {
    const { command } = (await import(`../../operate/${path.slice(2)}`)) as { command: { help: string } };
    for (const line of command.help.split("\n")) expect(line.length, line).toBeLessThanOrEqual(120);
  }
});
