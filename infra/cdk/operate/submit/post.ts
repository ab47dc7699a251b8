// The front door, as a client sees it.

import { Failure } from "../support/failure.ts";

export interface Door {
  url: string;
  key: string;
}

export interface Accepted {
  submission: string;
  output_location: string;
}

/**
 * A key works some seconds after API Gateway has made it; until then it answers 403 (API Gateway is
 * eventually consistent).
 */
const KEY_TIMEOUT_SECONDS = 60;

export async function post(
  { url, key }: Door,
  body: unknown,
  timeoutSeconds = KEY_TIMEOUT_SECONDS,
): Promise<Accepted> {
  const address = `${url.replace(/\/$/, "")}/v1alpha2`;
  const until = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const headers = { "content-type": "application/json", "x-api-key": key };
    const answer = await fetch(address, { method: "POST", headers, body: JSON.stringify(body) }).catch(
      (error: Error) => {
        throw new Failure(
          `${address} cannot be reached: ${(error.cause as Error | undefined)?.message ?? error.message}`,
        );
      },
    );
    const text = await answer.text();
    if (answer.ok) return JSON.parse(text) as Accepted;
    const again = answer.status === 403 || answer.status === 429 || answer.status === 503;
    if (!again || Date.now() > until) throw new Failure(`${address} answered ${answer.status}: ${text}`);
    await new Promise((resolve) => setTimeout(resolve, 2000));
  }
}
