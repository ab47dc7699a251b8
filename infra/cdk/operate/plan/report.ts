// The answer of `plan`: tables with the arithmetic on each line.

import type { Config, Runtime } from "../../lib/config/types.ts";
import { dollars, plain, total } from "../costs/line.ts";
import { bill } from "../costs/page.ts";
import { duration, markdown } from "../support/console.ts";
import { billOf } from "./bill.ts";
import { burstOf } from "./burst.ts";
import { type Fleet, fleetOf, waitsOf } from "./fleet.ts";
import { seenShare } from "./from-zero.ts";
import { inFlightSeconds, keeping, utilisation } from "./pods.ts";
import { exceeded, type Use, usesOf } from "./quotas.ts";
import { quantileOf } from "./waiting.ts";
import { busyPods, type Workload } from "./workload.ts";

export interface Section {
  title: string;
  text: string;
}

export function sections(config: Config, runtime: Runtime, work: Workload): Section[] {
  const fleet = fleetOf(runtime, work);
  const uses = usesOf(config, runtime, work, fleet);
  return [
    { title: "Load and pods", text: pods(runtime, work, fleet) },
    { title: "Waiting time", text: waiting(work, fleet) },
    ...(work.burst > 0 ? [{ title: "A burst", text: burst(runtime, work, fleet) }] : []),
    { title: "Cost per month", text: cost(config, runtime, work, fleet) },
    { title: "Quotas that are exceeded", text: quotas(uses.filter(exceeded), true) },
    {
      title: "Quotas that suffice",
      text: quotas(
        uses.filter((use) => !exceeded(use)),
        false,
      ),
    },
  ];
}

function pods(runtime: Runtime, work: Workload, fleet: Fleet): string {
  const { demand, least, settled, start, backlog } = fleet;
  const { min, max } = runtime.replicas;
  const { tasksPerReplica } = runtime.scaling;
  const rows = [
    [
      "load",
      `${plain(work.perHour)} tasks ÷ 3,600 s × ${plain(demand.service)} s`,
      `${plain(demand.load)} GPU-seconds per second`,
    ],
    ["least pods", `more than ${plain(demand.load)} ÷ ${demand.slots}`, `${plain(least)}`],
    [
      "configured",
      "`replicas`",
      `${min} to ${max}, ${max >= least ? "enough" : `**too few**: \`replicas.max\` must be ${least} at least`}`,
    ],
    [
      "after a start from zero",
      `${plain(Math.ceil(backlog))} tasks when the first pods work ÷ ${tasksPerReplica}`,
      `${plain(start)}${start > max ? `, limited to ${max}` : ""}`,
    ],
    ["in the long run", longRun(fleet), `${plain(settled)}${settled > max ? `, limited to ${max}` : ""}`],
    [
      "utilisation",
      `${plain(busyPods(demand))} ÷ ${fleet.pods}`,
      percent(utilisation(demand, Math.max(fleet.pods, 1))),
    ],
  ];
  return markdown(["what", "arithmetic", "result"], rows);
}

function longRun({ demand, settled }: Fleet): string {
  const seconds = inFlightSeconds(settled, demand);
  return (
    `${plain(demand.rate)} per second × ${plain(seconds)} s = ${plain(demand.rate * seconds)} tasks in flight on average; ` +
    `${plain(keeping(settled))} keep ${plain(settled)} pods for 5 min`
  );
}

function waiting(work: Workload, fleet: Fleet): string {
  const { pods, keepsUp, cycle, demand } = fleet;
  if (!keepsUp) {
    const done = (pods * demand.slots * 3600) / demand.service;
    return `The queue grows by ${plain(work.perHour)} − ${plain(done)} = ${plain(work.perHour - done)} tasks per hour, without bound.`;
  }
  const numbers = [pods - 1, pods, pods + 1].filter((count) => count >= Math.max(fleet.least, 1));
  const rows = numbers.map((count) => {
    const waits = waitsOf(fleet, count, work);
    return [
      `${count}${count === pods ? "" : count < pods ? " (one fewer)" : " (one more)"}`,
      percent(utilisation(demand, count)),
      seconds(quantileOf(waits, 0.5)),
      seconds(quantileOf(waits, 0.95)),
    ];
  });
  const cold =
    cycle.coldShare > 0.0005
      ? `\n\n${percent(cycle.coldShare)} of the tasks wait for a cold start: KEDA, which looks every 10 s, sees ` +
        `${percent(seenShare(demand))} of the tasks, and there are pods ${percent(cycle.upShare)} of the time.`
      : "";
  return markdown(["pods", "utilisation", "p50", "p95"], rows, [0, 1, 2, 3]) + cold;
}

function burst(runtime: Runtime, work: Workload, fleet: Fleet): string {
  const { before, pods, ready, cleared } = burstOf(
    fleet.cycle.coldShare > 0.5 ? 0 : fleet.pods,
    fleet.demand,
    work,
    runtime,
  );
  const rows = [
    ["pods before", "see above", `${before}`],
    [
      "pods for the burst",
      `${plain(work.burst)} ÷ ${runtime.scaling.tasksPerReplica}, from ${before} to ${runtime.replicas.max}`,
      `${pods}`,
    ],
    [
      "ready",
      `KEDA, HPA and a cold start of ${duration(work.coldStartSeconds)}`,
      pods > before ? `after ${duration(ready)}` : "at once",
    ],
    [
      "done",
      `${plain(work.burst)} × ${plain(fleet.demand.service)} s, besides ${plain(fleet.demand.load)} GPU-seconds per second`,
      Number.isFinite(cleared) ? `after ${duration(cleared)}` : "**never**: no capacity is left",
    ],
  ];
  return markdown(["what", "arithmetic", "result"], rows);
}

function cost(config: Config, runtime: Runtime, work: Workload, fleet: Fleet): string {
  const { lines, images } = billOf(config, runtime, work, fleet);
  const million =
    images === 0
      ? ""
      : `\n\n${dollars((total(lines) / images) * 1e6)} per million images, of ${plain(images / 1e6)} million a month.`;
  return bill(lines) + million;
}

function quotas(uses: Use[], over: boolean): string {
  if (uses.length === 0) return "None.";
  const sorted = [...uses].sort((a, b) => (over ? 0 : b.demand / b.quota.value - a.demand / a.quota.value));
  const rows = sorted.map(({ what, arithmetic, demand, quota, remedy }) => {
    const cells = [
      what,
      /[×÷]/.test(arithmetic) ? `${arithmetic} = ${plain(demand)}` : arithmetic,
      plain(quota.value),
    ];
    return over
      ? [...cells, `${remedy}${quota.adjustable ? "" : " (AWS does not raise it)"}`, quota.source]
      : [...cells, percent(demand / quota.value), quota.source];
  });
  return markdown(
    ["quota", "demand", "value", over ? "what to do" : "used", "read in"],
    rows,
    over ? [2] : [2, 3],
  );
}

const percent = (share: number) => `${plain(Math.round(share * 1000) / 10)} %`;
const seconds = (value: number) =>
  Number.isFinite(value) ? (value < 10 ? `${value.toFixed(1)} s` : duration(value)) : "unbounded";
