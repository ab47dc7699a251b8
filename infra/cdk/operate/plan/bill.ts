// What the rate costs per month. Prices and all but the GPU are those of `costs`: this bills the hours of pods, that the hours of runs.

import type { Config, Runtime } from "../../lib/config/types.ts";
import { autoModeFee } from "../costs/auto-mode.ts";
import { line, type Line, plain, total } from "../costs/line.ts";
import { hourly, marketOf, pricedType } from "../../lib/instance-prices.ts";
import { besidePods, HOURS_A_MONTH, METRICS } from "../costs/per-million.ts";
import { perMonth } from "../costs/per-month.ts";
import { PRICES } from "../costs/prices.ts";
import type { Fleet } from "./fleet.ts";
import type { Workload } from "./workload.ts";

export interface Bill {
  lines: Line[];
  /** Images a month. */
  images: number;
}

export function billOf(config: Config, runtime: Runtime, work: Workload, fleet: Fleet): Bill {
  const tasks = (Math.min(work.perHour, throughput(fleet)) * HOURS_A_MONTH) / 1e6;
  const nodeHours = fleet.pods * fleet.cycle.nodeShare * HOURS_A_MONTH;
  const type = pricedType(runtime);
  const price = (type && hourly(type, marketOf(runtime))) || 0;
  const share = fleet.cycle.nodeShare < 0.9995 ? `${plain(fleet.cycle.nodeShare * 100)} % of ` : "";
  const images = tasks * work.imagesPerTask;
  return {
    images: images * 1e6,
    lines: [
      line(
        `GPU: ${type ?? "a type without a price here"}, ${marketOf(runtime)}`,
        `${fleet.pods} pods × ${share}${HOURS_A_MONTH} h = ${plain(nodeHours)} h`,
        nodeHours,
        price,
      ),
      ...autoModeFee(config, "GPU", type, nodeHours),
      line(
        "their data volumes",
        `${runtime.instances.volumeGiB} GiB × ${plain(nodeHours)} h ÷ ${HOURS_A_MONTH} h`,
        (runtime.instances.volumeGiB * nodeHours) / HOURS_A_MONTH,
        PRICES.volume.usd,
      ),
      ...(config.metrics.enabled
        ? [line("metrics in CloudWatch", `${METRICS}`, METRICS, PRICES.customMetric.usd)]
        : []),
      ...requests(config, runtime, work, tasks),
      ...idle(config, runtime),
    ],
  };
}

/** Tasks per hour that the pods can do. */
const throughput = ({ pods, demand }: Fleet): number => (pods * demand.slots * 3600) / demand.service;

/** What `costs` has per million tasks beside their pods, for these tasks. Its figures are for one image of a task. */
function requests(config: Config, runtime: Runtime, work: Workload, tasks: number): Line[] {
  const { requestKb, imagesPerTask, imageKb, runSeconds } = work;
  const usd = total(
    besidePods(config, runtime, { seconds: runSeconds, requestKb, imageKb: imageKb * imagesPerTask }),
  );
  const more = imagesPerTask - 1;
  return [
    line("requests, queues, results, records", `${plain(tasks)} M tasks`, tasks, round(usd)),
    ...(more > 0
      ? [line("S3: further images", `${plain(tasks * more)} M PUT`, tasks * more, PRICES.s3Put.usd)]
      : []),
  ];
}

/** A month without tasks. Pods that always run are among the pods above. */
function idle(config: Config, { name }: Runtime): Line[] {
  const others = structuredClone(config);
  for (const runtime of others.runtimes) if (runtime.name === name) runtime.replicas.min = 0;
  return [line("what runs anyway", "1 month", 1, round(total(perMonth(others))))];
}

/** To cents, as it is printed. */
const round = (usd: number) => Math.round(usd * 100) / 100;
