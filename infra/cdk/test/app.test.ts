import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { FUNCTIONS } from "./support/service.ts";

const folder = mkdtempSync(join(tmpdir(), "app-"));
const cwd = fileURLToPath(new URL("..", import.meta.url));

/** Runs the app as `cdk` does. */
function app(config: string, functions: string) {
  const file = join(folder, "config.yaml");
  writeFileSync(file, config);
  const env = {
    ...process.env,
    DARKROOM_CONFIG: file,
    DARKROOM_FUNCTIONS: functions,
    CDK_OUTDIR: join(folder, "out"),
  };
  const { status, stderr } = spawnSync(process.execPath, ["--import", "tsx", "bin/app.ts"], {
    cwd,
    env,
    encoding: "utf8",
  });
  return { status, stderr };
}

it("names every fault of a configuration, and no line of its own code", () => {
  const { status, stderr } = app("region: us-west-2\nmodelBucket: UPPER\nruntimes: []\n", FUNCTIONS);
  expect(status).toBe(1);
  expect(stderr).toContain("modelBucket");
  expect(stderr).toContain("runtimes");
  expect(stderr).not.toMatch(/\.ts:\d+/);
});

it("names the function that is not built and the command that builds it", () => {
  const config = "region: us-west-2\nmodelBucket: models\nruntimes:\n  - { name: a, type: comfyui }\n";
  const { status, stderr } = app(config, folder);
  expect(status).toBe(1);
  expect(stderr).toContain(
    `${join(folder, "api-lambda.zip")} is missing: \`infra/build-functions\` builds it, \`infra/operate fetch-release\` downloads it`,
  );
  expect(stderr).not.toMatch(/\.ts:\d+/);
});
