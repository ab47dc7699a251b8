// The examples of docs/capacity.md. Each stands between two comments that name it, and a test holds page and program together.

import { resolve } from "node:path";

import type { Config } from "../../lib/config/types.ts";
import { example } from "../costs/page.ts";
import { withParts } from "../support/page.ts";
import { INFRA } from "../support/paths.ts";
import { sections } from "./report.ts";
import { USUAL, type Workload } from "./workload.ts";

export const PAGE = resolve(INFRA, "../docs/capacity.md");

/** 600 tasks per hour of 7 s, with 200 at once, on the example of infra/COSTS.md with up to 20 pods. */
export const SMALL: Workload = {
  ...USUAL,
  perHour: 600,
  runSeconds: 7,
  burst: 200,
  imageKb: 1500,
  requestKb: 2,
};
/** A million tasks per hour of 1.5 s, on the same configuration. */
export const LARGE: Workload = { ...USUAL, perHour: 1e6 };

function configured(): Config {
  const config = example();
  for (const { replicas } of config.runtimes) replicas.max = 20;
  return config;
}

/** Every table of the page, by its name. */
export function examples(): Record<string, string> {
  const config = configured();
  const [runtime] = config.runtimes;
  if (!runtime) return {};
  const text = (work: Workload, name: string) =>
    sections(config, runtime, work).find(({ title }) => title === name)?.text ?? "";
  return {
    pods: text(SMALL, "Load and pods"),
    waiting: text(SMALL, "Waiting time"),
    burst: text(SMALL, "A burst"),
    cost: text(SMALL, "Cost per month"),
    "million-pods": text(LARGE, "Load and pods"),
    exceeded: text(LARGE, "Quotas that are exceeded"),
    sufficient: text(LARGE, "Quotas that suffice"),
  };
}

/** A page with its examples as they are computed now. Throws if it has no place for one of them. */
export const withExamples = (page: string): string => withParts(page, examples());
