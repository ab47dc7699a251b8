// A checkout on a machine that has Node.js and nothing else: the commands say what is missing, and work with a release.

import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

import { expect, test } from "vitest";

import { program } from "../../lib/config/program.ts";
import { REPOSITORY } from "../../lib/config/release.ts";
import { programName } from "../../operate/release/platform.ts";
import { withReleaseServer } from "./support/release-server.ts";

const server = withReleaseServer();

/** A copy of what the commands read, without anything that was built. */
function checkout(): string {
  const folder = mkdtempSync(join(tmpdir(), "checkout-"));
  const copied = [
    "operate",
    "config.yaml",
    "chart/values.yaml",
    "cdk/operate",
    "cdk/lib",
    "cdk/package.json",
  ];
  for (const path of ["Cargo.toml", ...copied.map((name) => join("infra", name))])
    cpSync(join(REPOSITORY, path), join(folder, path), { recursive: true });
  for (const path of ["node_modules", "package-lock.json"])
    symlinkSync(join(REPOSITORY, "infra/cdk", path), join(folder, "infra/cdk", path));
  return folder;
}

/** A folder with the only programs that are installed. */
function machine(): string {
  const folder = mkdtempSync(join(tmpdir(), "bin-"));
  symlinkSync(process.execPath, join(folder, "node"));
  for (const path of ["/bin/bash", "/usr/bin/dirname"]) symlinkSync(path, join(folder, basename(path)));
  return folder;
}

function operate(folder: string, path: string, ...args: string[]) {
  const env = { PATH: path, HOME: folder, AWS_EC2_METADATA_DISABLED: "true" };
  return new Promise<{ status: number; out: string; err: string }>((done) => {
    const child = execFile(join(folder, "infra/operate"), args, { env }, (_error, out, err) =>
      done({ status: child.exitCode ?? -1, out, err }),
    );
  });
}

test("without Rust the commands name the release, and work once it is downloaded", async () => {
  const [folder, path] = [checkout(), machine()];
  const missing = /^the program that checks configurations is missing: `infra\/operate fetch-release`.*\n$/;
  for (const command of ["check-config", "deploy"])
    expect(await operate(folder, path, command)).toMatchObject({
      status: 1,
      err: expect.stringMatching(missing),
    });
  // Without git, and with a git that finds no repository.
  for (const programs of [path, `${path}:${process.env["PATH"]}`])
    expect(await operate(folder, programs, "fetch-release")).toMatchObject({
      status: 1,
      err: "this is no clone from GitHub: name the address of the release with --from\n",
    });

  const zips = ["api-lambda-arm64", "api-lambda-x86-64", "dead-letter-arm64", "dead-letter-x86-64"];
  server.serve({
    [programName(process.platform, process.arch)]: readFileSync(program()),
    ...Object.fromEntries(zips.map((name) => [`${name}.zip`, name])),
  });
  expect(await operate(folder, path, "fetch-release", "--from", server.url)).toMatchObject({ status: 0 });
  expect(readFileSync(join(folder, "target/functions/dead-letter.zip"), "utf8")).toBe("dead-letter-arm64");
  expect(await operate(folder, path, "check-config")).toMatchObject({
    status: 0,
    out: expect.stringContaining("deployment  darkroom"),
  });

  rmSync(join(folder, "target/functions"), { recursive: true });
  expect(await operate(folder, path, "deploy")).toMatchObject({
    status: 1,
    err: expect.stringMatching(/^the functions' zips are missing: `infra\/operate fetch-release`.*\n$/),
  });
});
