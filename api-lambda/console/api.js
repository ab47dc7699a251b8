/** Calls of `v1`. */

import { BASE } from "./base.js";
import { parse } from "./json.js";
import { storedKey } from "./key.js";

/** A response that is no success, or none at all (`status` 0). */
export class Problem extends Error {
  constructor(message, { status = 0, code = "", violations = [], retryAfter = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, violations, retryAfter });
  }
}

/** Sent to the document when the API wants another key. */
export const KEY_WANTED = "key-wanted";

/**
 * One call.
 * @param {string} method
 * @param {string} path relative to the API, as in `v1/tasks`
 * @param {{ body?: any, headers?: Record<string, string>, signal?: AbortSignal }} [options] `body` is sent as JSON
 * @returns {Promise<any>} the body of the response
 * @throws {Problem}
 */
export async function call(method, path, { body, headers = {}, signal } = {}) {
  const key = storedKey();
  const all = { ...headers, ...(key !== null && { "x-api-key": key }) };
  if (body !== undefined) all["content-type"] = "application/json";
  const options = { method, headers: all, body: body && JSON.stringify(body), signal, cache: "no-store" };
  const response = await sent(new URL(path, BASE), options);
  const answer = bodyOf(await response.text());
  if (response.ok) return answer;
  if (response.status === 401 || response.status === 403) document.dispatchEvent(new Event(KEY_WANTED));
  throw new Problem(answer?.detail ?? answer?.message ?? `The API responds with status ${response.status}.`, {
    status: response.status,
    code: answer?.code,
    violations: Array.isArray(answer?.violations) ? answer.violations : [],
    retryAfter: Number(response.headers.get("retry-after")) || 0,
  });
}

/** Sends a request. Only an abort by the caller is not a `Problem`. */
async function sent(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem("The API does not respond. Check the connection.");
  }
}

function bodyOf(text) {
  try {
    return parse(text);
  } catch {
    return null;
  }
}

/** The path of a task. */
export function taskPath(id, action = "") {
  return `v1/tasks/${encodeURIComponent(id)}${action && `/${action}`}`;
}

/**
 * Stores a file by a presigned URL.
 * @param {File} file
 * @returns {Promise<string>} its address, for an image field
 */
export async function upload(file, signal) {
  const wanted = { content_type: file.type || "application/octet-stream", bytes: file.size };
  const { url, method, headers, address } = await call("POST", "v1/uploads", { body: wanted, signal });
  // The browser sets the length itself.
  const { "content-length": _, ...signed } = headers;
  const stored = await fetch(url, { method, headers: signed, body: file, signal }).catch(() => null);
  if (!stored?.ok)
    throw new Problem(
      `${file.name} could not be stored. Does the bucket allow uploads from web pages (CORS)?`,
    );
  return address;
}
