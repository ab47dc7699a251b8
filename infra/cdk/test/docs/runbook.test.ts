// docs/runbook.md has an entry for every alarm and every error code.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, it } from "vitest";

import { all } from "../support/service.ts";
import { stacks } from "./stacks.ts";

const read = (path: string) =>
  readFileSync(fileURLToPath(new URL(`../../../../${path}`, import.meta.url)), "utf8");
const runbook = read("docs/runbook.md");

/** The anchors of the headings below "Alarms", as GitHub makes them. */
const entries = [...section(runbook, "Alarms").matchAll(/^### (.+)$/gm)].map(([, title]) =>
  title!.toLowerCase().replaceAll(/[`<>]/g, ""),
);

function section(page: string, title: string): string {
  return page.split(/^## /m).find((part) => part.startsWith(`${title}\n`)) ?? "";
}

it("has the entry that each alarm links to, and no other", () => {
  const linked = stacks()
    .flatMap((template) => Object.values(all(template, "AWS::CloudWatch::Alarm")))
    .map(({ AlarmDescription }) => /runbook\.md#([a-z0-9-]+)$/.exec(AlarmDescription)?.[1]);
  expect(linked.length).toBeGreaterThan(20);
  expect([...new Set(linked)].sort()).toEqual(entries.toSorted());
});

it("says for each alarm how to confirm it and what to do", () => {
  for (const entry of section(runbook, "Alarms").split("\n### ").slice(1)) {
    expect(entry).toMatch(/\n- Confirm: /);
    expect(entry).toMatch(/\n- Do: /);
  }
});

it("has a row for each error code", () => {
  const codes = [...section(read("shared-schema/README.md"), "Error codes").matchAll(/^\| `(\w+)` \|/gm)];
  const rows = [...section(runbook, "Error codes").matchAll(/^\| `(\w+)` \| .+ \| .+ \| .+ \|$/gm)];
  expect(codes.length).toBeGreaterThan(20);
  expect(rows.map(([, code]) => code).sort()).toEqual(codes.map(([, code]) => code).sort());
});
