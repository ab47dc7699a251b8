// record.mts FILE SNAPSHOT: makes a configuration use a snapshot. Only these two values change, so that comments and
// layout stay as their author wrote them.

import { readFileSync, writeFileSync } from "node:fs";

import { parseDocument } from "../yaml.mts";

const [file = "", snapshot = ""] = process.argv.slice(2);
const text = readFileSync(file, "utf8");
writeFileSync(file, put(put(text, "mode", "snapshot"), "snapshot", snapshot));

/** The text with `imageCache.<key>: <value>`. */
function put(text: string, key: string, value: string): string {
  const document = parseDocument(text);
  const old = range(document.getIn(["imageCache", key], true));
  if (old) return splice(text, old, value);

  const cache = document.get("imageCache", true);
  const pairs = items(cache);
  const last = range(pairs.at(-1)?.value);
  if (!last) {
    // Nothing is said about it yet, or something without content: `imageCache:` or `imageCache: {}`.
    const empty = range(cache);
    if (!empty) return `${text.trimEnd()}\n\nimageCache:\n  ${key}: ${value}\n`;
    const blank = text[empty[0] - 1] === ":" ? " " : "";
    return splice(text, empty, `${blank}{ ${key}: ${value} }`);
  }
  if ((cache as { flow?: boolean }).flow) return splice(text, [last[1], last[1]], `, ${key}: ${value}`);
  // On a line of its own, after the last one and whatever comment that has, and as far to the right as the first.
  const first = range(pairs[0]?.key)?.[0] ?? 0;
  const indent = first - (text.lastIndexOf("\n", first - 1) + 1);
  const lineEnd = text.indexOf("\n", last[1]);
  const end = lineEnd < 0 ? text.length : lineEnd;
  return splice(text, [end, end], `\n${" ".repeat(indent)}${key}: ${value}`);
}

type Range = readonly [start: number, end: number];

function splice(text: string, [start, end]: Range, value: string): string {
  return text.slice(0, start) + value + text.slice(end);
}

/** Where a node stands in the text, without its comments. */
function range(node: unknown): Range | undefined {
  const found = (node as { range?: [number, number, number] | null } | null | undefined)?.range;
  return found ? [found[0], found[1]] : undefined;
}

function items(node: unknown): { key: unknown; value: unknown }[] {
  return (node as { items?: { key: unknown; value: unknown }[] } | null | undefined)?.items ?? [];
}
