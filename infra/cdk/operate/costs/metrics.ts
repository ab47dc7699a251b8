// What a month of a runtime's metrics costs, by the two ways into CloudWatch.

import { markdown } from "../support/console.ts";
import { dollars, line, plain, total } from "./line.ts";
import { HOURS_A_MONTH, METRICS } from "./per-million.ts";
import { PRICES } from "./prices.ts";

const MINUTES_A_MONTH = 60 * HOURS_A_MONTH;

/** Assumed: the line of one pod's metrics in a minute. */
const EMF_KB = 1.5;

/** Assumed: series of one pod, most of them buckets of histograms, and the size of a data point with its labels. */
const SERIES = 150;
const POINT_KB = 0.25;

const PODS = [1, 10, 100];

/** A row per number of pods that always run. */
export function metricsTable(): string {
  const rows = PODS.map((pods) => {
    const logGb = (pods * EMF_KB * MINUTES_A_MONTH) / 1e6;
    const pointGb = (pods * SERIES * POINT_KB * MINUTES_A_MONTH) / 1e6;
    const emf = [
      line("metrics", `${METRICS}`, METRICS, PRICES.customMetric.usd),
      line("log lines", `${plain(logGb)} GB`, logGb, PRICES.logs.usd),
    ];
    const otlp = line("data points", `${plain(pointGb)} GB`, pointGb, PRICES.otlpMetrics.usd);
    return [
      `${pods}`,
      emf.map(({ arithmetic }) => arithmetic).join(" + "),
      dollars(total(emf)),
      otlp.arithmetic,
      dollars(otlp.usd),
    ];
  });
  return markdown(["pods", "EMF", "EMF, dollars", "OTLP", "OTLP, dollars"], rows, [0, 2, 4]);
}
