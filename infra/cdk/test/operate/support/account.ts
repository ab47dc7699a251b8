// What moto lacks of an account: EC2's quotas, and Lambda's settings. A small server of the test's own.

import { createServer, type Server } from "node:http";

import { afterAll, beforeAll } from "vitest";

/** Quotas by code, and what Lambda has left. */
export interface Limits {
  quotas: Record<string, number>;
  unreserved: number;
}

/** Leads Service Quotas and Lambda to a server that answers with these limits; tests change them. */
export function withLimits(limits: Limits): void {
  let server: Server;
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (part) => (body += part));
      request.on("end", () => {
        const { status, answer } = request.url?.startsWith("/2016-08-19/account-settings")
          ? { status: 200, answer: { AccountLimit: { UnreservedConcurrentExecutions: limits.unreserved } } }
          : quota(limits, body);
        response
          .writeHead(status, { "content-type": "application/x-amz-json-1.1" })
          .end(JSON.stringify(answer));
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    Object.assign(process.env, { AWS_ENDPOINT_URL_SERVICE_QUOTAS: url, AWS_ENDPOINT_URL_LAMBDA: url });
  });
  afterAll(() => void server.close());
}

function quota({ quotas }: Limits, body: string) {
  const { QuotaCode } = JSON.parse(body || "{}") as { QuotaCode?: string };
  const Value = quotas[QuotaCode ?? ""];
  return Value === undefined
    ? { status: 400, answer: { __type: "AccessDeniedException", Message: `not allowed to see ${QuotaCode}` } }
    : { status: 200, answer: { Quota: { QuotaCode, Value } } };
}
