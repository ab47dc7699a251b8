// A server with the files of a release.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { afterAll, beforeAll, beforeEach } from "vitest";

type Files = Record<string, string | Buffer>;

export interface ReleaseServer {
  url: string;
  files: Files;
  /** Where names lead instead. */
  redirects: Record<string, string>;
  /** Replaces the files, with the list of their checksums. */
  serve(files: Files): void;
}

/** Runs while the tests of a file do; each test begins without files. */
export function withReleaseServer(): ReleaseServer {
  const state: ReleaseServer = {
    url: "",
    files: {},
    redirects: {},
    serve: (files) => void (state.files = { ...files, SHA256SUMS: sumsOf(files) }),
  };
  const server = createServer((request, response) => {
    const name = (request.url ?? "").replace("/v1/", "");
    const location = state.redirects[name];
    if (location !== undefined) return response.writeHead(302, { location }).end();
    const content = state.files[name];
    return response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  beforeAll(async () => {
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    state.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/`;
  });
  beforeEach(() => {
    state.files = {};
    state.redirects = {};
  });
  afterAll(() => void server.close());
  return state;
}

/** The list that `sha256sum` prints of files. */
export function sumsOf(files: Files): string {
  return Object.entries(files)
    .map(([name, content]) => `${createHash("sha256").update(content).digest("hex")}  ${name}\n`)
    .join("");
}
