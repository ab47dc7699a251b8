import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { strFromU8, unzipSync, zipSync } from "fflate";
import { expect, it } from "vitest";

import { packageWith } from "../lib/function-package.ts";
import { FUNCTIONS } from "./support/service.ts";

const built = join(FUNCTIONS, "api-lambda.zip");

it("puts files beside the program", () => {
  const contents = unzipSync(readFileSync(packageWith(built, { "runtimes.json": "[]" })));
  expect(Object.keys(contents).sort()).toEqual(["bootstrap", "runtimes.json"]);
  expect(strFromU8(contents["bootstrap"]!)).toBe("stands in for api-lambda");
  expect(strFromU8(contents["runtimes.json"]!)).toBe("[]");
});

it("leaves the program executable, as only Unix zips say it", () => {
  const zip = readFileSync(packageWith(built, {}));
  const entry = zip.indexOf(Buffer.from("PK\x01\x02", "latin1"));
  expect(zip[entry + 5], "made on Unix").toBe(3);
  expect(zip.readUInt32LE(entry + 38) >>> 16).toBe(0o755);
});

it("makes the same zip of the same contents, so that a deployment without changes changes nothing", () => {
  const [one, other] = [packageWith(built, { a: "b" }), packageWith(built, { a: "b" })];
  expect(readFileSync(one).equals(readFileSync(other))).toBe(true);
});

it("refuses a zip without a program", () => {
  const empty = join(FUNCTIONS, "empty.zip");
  writeFileSync(empty, zipSync({}));
  expect(() => packageWith(empty, {})).toThrow("has no `bootstrap`");
});
