// The files of a release, from a server that is not trusted to send what was asked for.

import { createHash } from "node:crypto";

import { bytes } from "../support/console.ts";
import { Failure } from "../support/failure.ts";

/** Larger than any file of a release. */
const MOST_BYTES = 100e6;
const MOST_BYTES_OF_SUMS = 64e3;
const TIMEOUT_MS = 300_000;
/** GitHub redirects once, to its storage. */
const MOST_REDIRECTS = 5;

/** The SHA-256 of files, by name. */
export type Sums = Map<string, string>;

/** The list of checksums of a release. */
export async function fetchSums(from: string): Promise<Sums> {
  return parseSums((await fetched(urlOf(from, "SHA256SUMS"), MOST_BYTES_OF_SUMS)).toString());
}

/** The lines of `sha256sum`. */
export function parseSums(text: string): Sums {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return new Map(
    lines.map((line, n) => {
      const [, sum, name] = /^([0-9a-f]{64}) [ *](\S+)$/.exec(line) ?? [];
      if (!sum || !name) throw new Failure(`SHA256SUMS of the release: line ${n + 1} is no checksum`);
      return [name, sum];
    }),
  );
}

/** A file of the release, with the checksum that the list has for it. */
export async function fetchFile(from: string, name: string, sums: Sums): Promise<Buffer> {
  const expected = sums.get(name);
  if (!expected) throw new Failure(`SHA256SUMS of the release does not list ${name}`);
  const url = urlOf(from, name);
  const content = await fetched(url, MOST_BYTES);
  const sum = createHash("sha256").update(content).digest("hex");
  if (sum !== expected) throw new Failure(`${url} has the checksum ${sum}, SHA256SUMS lists ${expected}`);
  return content;
}

const urlOf = (from: string, name: string) => `${from.replace(/\/+$/, "")}/${name}`;

async function fetched(url: string, mostBytes: number): Promise<Buffer> {
  try {
    return await body(await answer(url), mostBytes);
  } catch (error) {
    // What `fetch` throws says no more than that it failed; the cause is inside.
    const { message, cause } = error as Error;
    throw new Failure(`${url} cannot be fetched: ${(cause instanceof Error && cause.message) || message}`);
  }
}

/** Follows redirects. None leads from HTTPS to HTTP, where anybody on the way could change files and checksums. */
async function answer(url: string): Promise<Response> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let place = new URL(url);
  for (let redirects = 0; redirects <= MOST_REDIRECTS; redirects++) {
    const response = await fetch(place, { redirect: "manual", signal });
    if (response.ok) return response;
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (response.status < 300 || response.status > 399 || !location)
      throw new Error(`status ${response.status}`);
    const next = new URL(location, place);
    if (next.protocol !== "https:" && next.protocol !== place.protocol)
      throw new Error(`redirected from ${place.protocol} to ${next.protocol}`);
    place = next;
  }
  throw new Error(`more than ${MOST_REDIRECTS} redirects`);
}

async function body(response: Response, mostBytes: number): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > mostBytes) throw new Error(`larger than ${bytes(mostBytes)}`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
