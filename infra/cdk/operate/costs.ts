import { readFileSync, writeFileSync } from "node:fs";

import { load } from "../lib/config/load.ts";
import { dollars, total } from "./costs/line.ts";
import { bill, PAGE, withTables } from "./costs/page.ts";
import { marketOf, pricedType } from "../lib/instance-prices.ts";
import { perMillion, SMALL } from "./costs/per-million.ts";
import { perMonth } from "./costs/per-month.ts";
import { PRICE_BASIS } from "./costs/prices.ts";
import { switches } from "./costs/switches.ts";
import type { Command } from "./support/command.ts";
import { markdown, say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";

export const command: Command = {
  help: `Reckons what the configuration costs: per million images, per idle month, and what each switch changes.
Nothing is called. Prices are those of infra/COSTS.md, which says where each was read.`,
  options: {
    seconds: { type: "string", description: `how long the GPU works on an image (${SMALL.seconds})` },
    "image-kb": { type: "string", description: `the size of an image (${SMALL.imageKb})` },
    "request-kb": { type: "string", description: `the size of a request (${SMALL.requestKb})` },
    page: { type: "boolean", description: "write the tables into infra/COSTS.md instead" },
  },
  async run({ file, values }) {
    if (values["page"] === true) return writeFileSync(PAGE, withTables(readFileSync(PAGE, "utf8")));
    const config = load(file);
    const work = {
      seconds: number(values["seconds"], SMALL.seconds),
      imageKb: number(values["image-kb"], SMALL.imageKb),
      requestKb: number(values["request-kb"], SMALL.requestKb),
    };
    say(`${PRICE_BASIS}\n`);
    for (const runtime of config.runtimes) {
      const lines = perMillion(config, runtime, work);
      say(
        `A million images of ${runtime.name}, ${work.seconds} s each, on ${pricedType(runtime) ?? "?"}, ${marketOf(runtime)}:\n`,
      );
      say(`${bill(lines)}\n\n${dollars(total(lines) / 1000)} per thousand\n`);
    }
    say(`A month without images:\n\n${bill(perMonth(config))}\n`);
    say(
      `Switches, as seen from here:\n\n${markdown(["switch", "month", "million", "besides"], switches(config), [1, 2])}`,
    );
  },
};

function number(text: string | boolean | undefined, otherwise: number): number {
  const value = text === undefined ? otherwise : Number(text);
  if (!(value > 0)) throw new Failure(`${text} is no number above 0`);
  return value;
}
