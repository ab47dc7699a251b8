import { readFileSync, writeFileSync } from "node:fs";

import { load } from "../lib/config/load.ts";
import type { Config, Runtime } from "../lib/config/types.ts";
import { PRICE_BASIS } from "./costs/prices.ts";
import { PAGE, withExamples } from "./plan/page.ts";
import { sections } from "./plan/report.ts";
import { demandOf, USUAL, type Workload } from "./plan/workload.ts";
import type { Call, Command } from "./support/command.ts";
import { say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";

export const command: Command = {
  help: `Plans capacity for a rate of tasks: pods, waiting time, time for a burst, cost, and quotas, with the arithmetic.
Nothing is called. docs/capacity.md explains the model and its limits.`,
  options: {
    "per-hour": { type: "string", description: "tasks per hour" },
    runtime: { type: "string", description: "the runtime they are for, if there are several" },
    "run-seconds": { type: "string", description: `how long the GPU works on a task (${USUAL.runSeconds})` },
    "cold-start-seconds": {
      type: "string",
      description: `from a pod's creation to its first task (${USUAL.coldStartSeconds}); \`measure\` measures it`,
    },
    "images-per-task": { type: "string", description: `images of a task (${USUAL.imagesPerTask})` },
    burst: { type: "string", description: `tasks that come at once, besides (${USUAL.burst})` },
    "image-kb": { type: "string", description: `the size of an image (${USUAL.imageKb})` },
    "request-kb": { type: "string", description: `the size of a request (${USUAL.requestKb})` },
    page: { type: "boolean", description: "write the examples into docs/capacity.md instead" },
  },
  async run({ file, values }) {
    if (values["page"] === true) return writeFileSync(PAGE, withExamples(readFileSync(PAGE, "utf8")));
    const config = load(file);
    const runtime = chosen(config, values["runtime"]);
    const work = workload(values);
    const { load: gpus } = demandOf(work, runtime);
    if (gpus > MOST_GPUS)
      throw new Failure(`that keeps ${Math.round(gpus)} GPUs busy; at most ${MOST_GPUS} are planned`);
    say(
      `${work.perHour} tasks per hour for ${runtime.name}, ${work.runSeconds} s each. Other runtimes use the same quotas.\n${PRICE_BASIS}\n`,
    );
    for (const { title, text } of sections(config, runtime, work)) say(`${title}:\n\n${text}\n`);
  },
};

function workload(values: Call["values"]): Workload {
  return {
    perHour: number(values, "per-hour"),
    runSeconds: number(values, "run-seconds", USUAL.runSeconds),
    coldStartSeconds: number(values, "cold-start-seconds", USUAL.coldStartSeconds),
    imagesPerTask: number(values, "images-per-task", USUAL.imagesPerTask),
    burst: values["burst"] === undefined ? USUAL.burst : number(values, "burst"),
    imageKb: number(values, "image-kb", USUAL.imageKb),
    requestKb: number(values, "request-kb", USUAL.requestKb),
  };
}

const LARGEST = 1e9;
/** GPUs that are planned for: with more, the formulas would count for minutes. */
const MOST_GPUS = 100_000;

function number(values: Call["values"], option: string, otherwise?: number): number {
  const text = values[option];
  if (text === undefined && otherwise !== undefined) return otherwise;
  if (text === undefined) throw new Failure(`--${option} is missing (\`--help\` says more)`);
  const value = Number(text);
  if (!(value > 0 && value <= LARGEST))
    throw new Failure(`--${option}: ${text} is no number above 0, up to ${LARGEST}`);
  return value;
}

function chosen({ runtimes }: Config, name: string | boolean | undefined): Runtime {
  const names = runtimes.map((runtime) => runtime.name).join(", ");
  if (name === undefined && runtimes.length > 1) throw new Failure(`--runtime is missing: one of ${names}`);
  const runtime = name === undefined ? runtimes[0] : runtimes.find((runtime) => runtime.name === name);
  if (!runtime) throw new Failure(`there is no runtime ${name}: ${names}`);
  return runtime;
}
