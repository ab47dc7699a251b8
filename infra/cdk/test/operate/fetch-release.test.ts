// A release is downloaded from a server as a whole, or not at all.

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { expect, test } from "vitest";
import { parse as parseYaml } from "yaml";

import { REPOSITORY, version } from "../../lib/config/release.ts";
import { fetchRelease } from "../../operate/fetch-release.ts";
import { imagesOf, ofRemote } from "../../operate/release/address.ts";
import { parseSums } from "../../operate/release/files.ts";
import { programName } from "../../operate/release/platform.ts";
import { sumsOf, withReleaseServer } from "./support/release-server.ts";

const server = withReleaseServer();

const CONTENT = { program: "#!/bin/sh", "a.zip": "zip" };

const scratch = () => mkdtempSync(join(tmpdir(), "release-"));
const places = (folder: string): [string, string][] => [
  ["program", join(folder, "tools/program")],
  ["a.zip", join(folder, "functions/a.zip")],
];

test("each file goes to its place, and the program can be run", async () => {
  const folder = scratch();
  server.serve(CONTENT);
  await fetchRelease(server.url, places(folder));
  expect(readFileSync(join(folder, "functions/a.zip"), "utf8")).toBe("zip");
  expect(readdirSync(join(folder, "functions"))).toEqual(["a.zip"]);
  expect(statSync(join(folder, "tools/program")).mode & 0o111).toBe(0o111);
});

test("redirects are followed, but not for ever and not to another protocol", async () => {
  const folder = scratch();
  server.serve(CONTENT);
  server.redirects["a.zip"] = "elsewhere/a.zip";
  server.files["elsewhere/a.zip"] = "zip";
  await fetchRelease(server.url, places(folder));
  expect(readFileSync(join(folder, "functions/a.zip"), "utf8")).toBe("zip");
  server.redirects["a.zip"] = "a.zip";
  await expect(fetchRelease(server.url, places(scratch()))).rejects.toThrow(/a\.zip .*more than 5 redirects/);
  server.redirects["a.zip"] = "ftp://127.0.0.1/a.zip";
  await expect(fetchRelease(server.url, places(scratch()))).rejects.toThrow(/redirected from http: to ftp:/);
});

test("nothing is written if a file is missing, changed or not in the list", async () => {
  const folder = scratch();
  const fails = async (message: RegExp) => {
    await expect(fetchRelease(server.url, places(folder))).rejects.toThrow(message);
    expect(existsSync(join(folder, "tools"))).toBe(false);
  };
  server.serve(CONTENT);
  server.files["a.zip"] = "another zip";
  await fails(/a\.zip has the checksum/);
  delete server.files["a.zip"];
  await fails(/a\.zip cannot be fetched: status 404/);
  server.serve({ program: CONTENT.program });
  await fails(/does not list a\.zip/);
  server.files["SHA256SUMS"] = `${sumsOf(CONTENT)}no sum`;
  await fails(/line 3 is no checksum/);
  server.files["SHA256SUMS"] = sumsOf(CONTENT).repeat(1000);
  await fails(/SHA256SUMS cannot be fetched: larger than 64\.0 kB/);
});

test("a server that does not answer is named, and so is what is no address", async () => {
  await expect(fetchRelease("http://127.0.0.1:9", [])).rejects.toThrow(
    /127\.0\.0\.1:9\/SHA256SUMS cannot be fetched: \S/,
  );
  await expect(fetchRelease("v1", [])).rejects.toThrow("v1/SHA256SUMS cannot be fetched: Invalid URL");
});

test("the release and its images are those of the clone's repository and version", () => {
  const expected = `https://github.com/Owner/dark.room/releases/download/v${version()}`;
  for (const remote of [
    "git@github.com:Owner/dark.room.git",
    "https://github.com/Owner/dark.room",
    "ssh://git@github.com/Owner/dark.room.git",
  ]) {
    expect(ofRemote(remote)).toBe(expected);
  }
  for (const remote of ["", "git@example.com:owner/name.git", "https://notgithub.com/owner/name"]) {
    expect(() => ofRemote(remote)).toThrow(/--from/);
  }
  expect(imagesOf(expected)).toBe("ghcr.io/owner/dark.room");
  expect(imagesOf("https://mirror.example.com/v1")).toBeUndefined();
});

test("the version is that of the images and of the chart", () => {
  const read = (path: string) => readFileSync(join(REPOSITORY, "infra", path), "utf8");
  expect(JSON.parse(read("config.schema.json")).properties.images.properties.tag.default).toBe(version());
  expect(parseYaml(read("chart/Chart.yaml"))).toMatchObject({ version: version(), appVersion: version() });
});

test("programs have the names that the workflow gives them", () => {
  const workflow = readFileSync(join(REPOSITORY, ".github/workflows/release.yml"), "utf8");
  for (const platform of ["linux", "darwin"]) {
    for (const processor of ["x64", "arm64"]) {
      const part = programName(platform, processor).replace("darkroom-config-", "");
      expect(workflow).toContain(`part: ${part},`);
    }
  }
  expect(() => programName("win32", "x64")).toThrow(/install Rust/);
});

test("lists of checksums are those of sha256sum", () => {
  const sum = createHash("sha256").update("").digest("hex");
  expect(parseSums(`${sum}  a\n${sum} *b\n`)).toEqual(
    new Map([
      ["a", sum],
      ["b", sum],
    ]),
  );
});
