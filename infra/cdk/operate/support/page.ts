// Pages of the documentation with parts that a program computes. Each part stands between two comments that name it.

/** The page with its parts as they are computed now. Throws if it has no place for one of them. */
export function withParts(page: string, parts: Record<string, string>): string {
  return Object.entries(parts).reduce((text, [name, part]) => {
    const [begin, end] = [`<!-- ${name} -->\n`, `\n<!-- /${name} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new Error(`the page has no place for \`${name}\``);
    return text.slice(0, from + begin.length) + part + text.slice(to);
  }, page);
}
