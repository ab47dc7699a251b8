// The tables of infra/COSTS.md. Each stands between two comments that name it, and a test holds page and
// program together.

import { readFileSync } from "node:fs";
import { resolve } from "node:path";

import { parse } from "../../lib/config/load.ts";
import type { Config } from "../../lib/config/types.ts";
import { markdown } from "../support/console.ts";
import { withParts } from "../support/page.ts";
import { INFRA } from "../support/paths.ts";
import { dollars, type Line, plain, total } from "./line.ts";
import { LARGE, perMillion, SMALL, type Workload } from "./per-million.ts";
import { perMonth } from "./per-month.ts";
import { hourly, INSTANCES } from "../../lib/instance-prices.ts";
import { PRICES } from "./prices.ts";
import { metricsTable } from "./metrics.ts";
import { switches } from "./switches.ts";

export const PAGE = resolve(INFRA, "COSTS.md");

/** The page's example: the smallest configuration, on the instance type of the predecessor's table. */
export function example(): Config {
  const config = parse(readFileSync(resolve(INFRA, "examples/minimal.yaml"), "utf8"));
  for (const { instances } of config.runtimes) instances.types = ["g5.xlarge"];
  return config;
}

/** Every table of the page, by its name. */
export function tables(): Record<string, string> {
  const config = example();
  return {
    small: millionTable(config, SMALL),
    large: millionTable(config, LARGE),
    month: bill(perMonth(config)),
    beside: besideOthers(config),
    metrics: metricsTable(),
    switches: markdown(["switch", "per idle month", "per million", "besides"], switches(config), [1, 2]),
    prices: priceTable(),
    instances: instanceTable(),
  };
}

export function millionTable(config: Config, work: Workload): string {
  const [runtime] = config.runtimes;
  return runtime ? bill(perMillion(config, runtime, work)) : "";
}

export function bill(lines: Line[]): string {
  const rows = lines.map(({ what, arithmetic, usd }) => [what, arithmetic, dollars(usd)]);
  return markdown(
    ["what", "arithmetic", "dollars"],
    [...rows, ["**together**", "", `**${dollars(total(lines))}**`]],
    [2],
  );
}

/** What others published, and the same of ours. */
function besideOthers(config: Config): string {
  const [runtime] = config.runtimes;
  const million = (work: Workload) => (runtime ? perMillion(config, runtime, work) : []);
  const month = perMonth(config);
  const spot = "g5.xlarge Spot at $0.53";
  const rows = [
    ["second predecessor, README of April 2024", "g5.2xlarge Spot at $0.4968, 1.5 s", "$226.18", "$210.24"],
    ["second predecessor, newer README", "Spot at $0.53, 1.5 s", "$240.00", "$189.50"],
    ["Darkroom, the same lines", `${spot}, 1.5 s`, among(million(SMALL), THEIRS), among(month, THEIRS)],
    ["Darkroom, everything", `${spot}, 1.5 s`, dollars(total(million(SMALL))), dollars(total(month))],
    ["first predecessor, documentation", "g5.xlarge On-Demand, 1.5 s, the GPU alone", "$420.00", ""],
    ["stable-diffusion-aws-extension, README", "SDXL, 7 s: $310.45 for 72,000", "$4,311.81", "in it"],
    ["comfyui-on-eks, README", "1024², 9 s, g5.2xlarge: $450 for 64,000", "$7,031.25", "in it"],
    ["Darkroom, everything", `SDXL, 7 s, ${spot}`, dollars(total(million(LARGE))), dollars(total(month))],
  ];
  return markdown(["whose", "what", "per million", "per month"], rows, [2, 3]);
}

/**
 * What the second predecessor's two tables have: GPU, API, function, topics, queues, PUT, storage; EKS and
 * two nodes.
 */
const THEIRS = /^(GPU|API Gateway|Lambda|SNS|SQS|S3: image|S3: stored|EKS|system nodes)/;

const among = (lines: Line[], which: RegExp) => dollars(total(lines.filter(({ what }) => which.test(what))));

function priceTable(): string {
  const rows = Object.entries(PRICES).map(([name, { usd, per, source }]) => [
    words(name),
    `$${plain(usd)}`,
    per,
    source,
  ]);
  return markdown(["of", "price", "per", "read in"], rows, [1]);
}

/** `natGateway` as `nat gateway`. */
const words = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function instanceTable(): string {
  const rows = Object.entries(INSTANCES).map(([type, { onDemand, spot, source }]) => [
    type,
    `$${plain(onDemand)}`,
    spot === undefined ? `$${plain(hourly(type, "spot") ?? 0)} (half)` : `$${plain(spot)}`,
    source,
  ]);
  return markdown(["type", "On-Demand, hour", "Spot, hour", "read in"], rows, [1, 2]);
}

/** A page with its tables as they are computed now. Throws if it has no place for one of them. */
export const withTables = (page: string): string => withParts(page, tables());
