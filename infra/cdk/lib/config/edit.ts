// Changes of single values in a configuration file, whose comments and layout stay as their author wrote them.

import { parseDocument } from "yaml";

/** The text with `<section>.<key>: <value>`; the value is YAML on one line. */
export function put(text: string, section: string, key: string, value: string): string {
  const document = parseDocument(text);
  const old = range(document.getIn([section, key], true));
  if (old) return splice(text, old, value);

  const map = document.get(section, true);
  const pairs = items(map);
  const last = range(pairs.at(-1)?.value);
  if (!last) {
    // Nothing is said about it yet, or something without content: `imageCache:` or `imageCache: {}`.
    const empty = range(map);
    if (!empty) return `${text.trimEnd()}\n\n${section}:\n  ${key}: ${value}\n`;
    const blank = text[empty[0] - 1] === ":" ? " " : "";
    return splice(text, empty, `${blank}{ ${key}: ${value} }`);
  }
  if ((map as { flow?: boolean }).flow) return splice(text, [last[1], last[1]], `, ${key}: ${value}`);
  // On a line of its own, after the last one and whatever comment that has, and as far to the right as the first.
  const first = range(pairs[0]?.key)?.[0] ?? 0;
  const indent = first - (text.lastIndexOf("\n", first - 1) + 1);
  const lineEnd = text.indexOf("\n", last[1]);
  const end = lineEnd < 0 ? text.length : lineEnd;
  return splice(text, [end, end], `\n${" ".repeat(indent)}${key}: ${value}`);
}

/** Whether the text has `<section>.<key>`. */
export function has(text: string, section: string, key: string): boolean {
  return parseDocument(text).hasIn([section, key]);
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
