// What moto lacks of an account: EC2's quotas, Lambda's settings, EKS's add-ons, public parameters. A small server of the test's own.

import { createServer, type IncomingMessage, type Server } from "node:http";

import { afterAll, beforeAll } from "vitest";

/** Quotas by code, what Lambda has left, and what EKS and Systems Manager know. */
export interface Limits {
  quotas: Record<string, number>;
  unreserved: number;
  /** Versions of the VPC CNI that EKS offers. */
  vpcCni?: string[];
  /** The configuration of the add-on of a cluster, if it is one. */
  vpcCniValues?: string;
  /** What EKS says of a cluster besides what moto knows. */
  cluster?: Record<string, unknown>;
  /** Types of a cluster's access entries by the name of the role. */
  accessEntries?: Record<string, string>;
  /** Public parameters that exist. */
  parameters?: string[];
}

interface Answer {
  status: number;
  answer: unknown;
}

/** Leads these services to a server that answers with these limits; tests change them. */
export function withLimits(limits: Limits): void {
  let server: Server;
  beforeAll(async () => {
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (part) => (body += part));
      request.on("end", () => {
        void respond(limits, request, body).then(({ status, answer }) =>
          response
            .writeHead(status, { "content-type": "application/x-amz-json-1.1" })
            .end(JSON.stringify(answer)),
        );
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    for (const service of ["SERVICE_QUOTAS", "LAMBDA", "EKS", "SSM"])
      process.env[`AWS_ENDPOINT_URL_${service}`] = url;
  });
  afterAll(() => {
    // Clients keep connections open, for which `close` alone waits.
    server.closeAllConnections();
    server.close();
  });
}

async function respond(limits: Limits, request: IncomingMessage, body: string): Promise<Answer> {
  const path = request.url ?? "";
  const operation = String(request.headers["x-amz-target"] ?? "");
  if (path.startsWith("/2016-08-19/account-settings"))
    return {
      status: 200,
      answer: { AccountLimit: { UnreservedConcurrentExecutions: limits.unreserved } },
    };
  if (path.startsWith("/addons/supported-versions"))
    return {
      status: 200,
      answer: {
        addons: [{ addonVersions: (limits.vpcCni ?? []).map((addonVersion) => ({ addonVersion })) }],
      },
    };
  if (/^\/clusters\/[^/]+\/addons\/vpc-cni/.test(path))
    return limits.vpcCniValues === undefined
      ? { status: 404, answer: { __type: "ResourceNotFoundException", message: "no such add-on" } }
      : { status: 200, answer: { addon: { configurationValues: limits.vpcCniValues } } };
  if (/^\/clusters\/[^/]+\/access-entries\//.test(path)) return accessEntry(limits, path);
  if (operation.endsWith("GetParameter")) return parameter(limits, body);
  return path.startsWith("/clusters") ? fromMoto(limits, request, body) : quota(limits, body);
}

function accessEntry({ accessEntries = {} }: Limits, path: string): Answer {
  const type = accessEntries[decodeURIComponent(path).split(":role/")[1] ?? ""];
  return type === undefined
    ? { status: 404, answer: { __type: "ResourceNotFoundException", message: "no such access entry" } }
    : { status: 200, answer: { accessEntry: { type } } };
}

function parameter({ parameters = [] }: Limits, body: string): Answer {
  const { Name } = JSON.parse(body) as { Name: string };
  return parameters.includes(Name)
    ? { status: 200, answer: { Parameter: { Name, Value: "ami-0123456789abcdef0" } } }
    : { status: 400, answer: { __type: "ParameterNotFound", Message: "no such parameter" } };
}

/** What EKS answers besides: moto knows clusters. */
async function fromMoto(limits: Limits, request: IncomingMessage, body: string): Promise<Answer> {
  const response = await fetch(`${process.env["AWS_ENDPOINT_URL"]}${request.url}`, {
    method: request.method ?? "GET",
    headers: { authorization: String(request.headers.authorization), "content-type": "application/json" },
    ...(body ? { body } : {}),
  });
  const answer = (await response.json()) as { cluster?: object };
  if (answer.cluster) answer.cluster = { ...answer.cluster, ...limits.cluster };
  return { status: response.status, answer };
}

function quota({ quotas }: Limits, body: string): Answer {
  const { QuotaCode } = JSON.parse(body || "{}") as { QuotaCode?: string };
  const Value = quotas[QuotaCode ?? ""];
  return Value === undefined
    ? { status: 400, answer: { __type: "AccessDeniedException", Message: `not allowed to see ${QuotaCode}` } }
    : { status: 200, answer: { Quota: { QuotaCode, Value } } };
}
