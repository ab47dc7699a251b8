// What operators see and are asked.

import { createInterface } from "node:readline/promises";

import { Failure } from "./failure.ts";

export function say(line = ""): void {
  console.log(line);
}

/** Lines whose columns stand under each other. */
export function columns(rows: string[][]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, n) => (widths[n] = Math.max(widths[n] ?? 0, cell.length)));
  }
  return rows
    .map((row) =>
      row
        .map((cell, n) => cell.padEnd(widths[n] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** The same as a table in Markdown. Columns of numbers stand to the right. */
export function markdown(header: string[], rows: string[][], right: number[] = []): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(header),
    `|${header.map((_, n) => (right.includes(n) ? "---:" : "---")).join("|")}|`,
    ...rows.map(line),
  ].join("\n");
}

/** Asks for a word, and goes on only if it is given. Without a terminal there is nobody to ask. */
export async function confirm(question: string, word: string): Promise<void> {
  const given = await answer(`${question} (type \`${word}\`): `);
  if (given === undefined) throw new Failure(`${question}: there is no terminal to ask; say --yes`);
  if (given !== word) throw new Failure("nothing was done");
}

/** What is answered to a question, or undefined without a terminal. */
export async function answer(question: string): Promise<string | undefined> {
  if (!process.stdin.isTTY) return undefined;
  const prompt = createInterface({ input: process.stdin, output: process.stdout });
  return (await prompt.question(question).finally(() => prompt.close())).trim();
}

/** Seconds as people say them. */
export function duration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
}

export function bytes(count: number): string {
  if (count >= 1e9) return `${(count / 1e9).toFixed(2)} GB`;
  if (count >= 1e6) return `${(count / 1e6).toFixed(1)} MB`;
  return `${(count / 1e3).toFixed(1)} kB`;
}
