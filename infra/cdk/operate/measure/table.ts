// Runs beside each other, with their medians.

import { markdown } from "../support/console.ts";
import type { Stage } from "./stages.ts";

export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = NaN, high = NaN] = [sorted[middle - 1], sorted[middle]];
  return sorted.length % 2 === 0 ? (low + high) / 2 : high;
}

/**
 * A row per stage and one for the whole. The medians of stages need not add up to the median of the whole.
 */
export function coldStartTable(runs: Stage[][]): string {
  const total = (run: Stage[]) => run.reduce((sum, { seconds }) => sum + seconds, 0);
  const names = runs[0]?.map(({ name }) => name) ?? [];
  const rows = names.map((name, n) =>
    row(
      name,
      runs.map((run) => run[n]?.seconds ?? NaN),
    ),
  );
  rows.push(row("**zero to first image**", runs.map(total)));
  const header = ["stage", "median", ...runs.map((_, n) => `run ${n + 1}`)];
  return markdown(header, rows, header.map((_, n) => n).slice(1));
}

const row = (name: string, seconds: number[]) => [name, ...[median(seconds), ...seconds].map(text)];

const text = (seconds: number) => `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
