import { load } from "../lib/config/load.ts";
import type { Config } from "../lib/config/types.ts";
import { account } from "./preflight/account.ts";
import { cluster } from "./preflight/cluster.ts";
import { endpoints } from "./preflight/endpoints.ts";
import type { Check, Finding } from "./preflight/finding.ts";
import { submitApi } from "./preflight/submit-api.ts";
import { functions } from "./preflight/functions.ts";
import { gpuQuotas } from "./preflight/gpu-quotas.ts";
import { imageCache } from "./preflight/image-cache.ts";
import { images } from "./preflight/images.ts";
import { instances } from "./preflight/instances.ts";
import { models } from "./preflight/models.ts";
import { network } from "./preflight/network.ts";
import { programs } from "./preflight/programs.ts";
import { results } from "./preflight/results.ts";
import { subscriptions } from "./preflight/subscriptions.ts";
import { tracing } from "./preflight/tracing.ts";
import { versions } from "./preflight/versions.ts";
import { zones } from "./preflight/zones.ts";
import { isDenied, reasonOf } from "./support/aws.ts";
import type { Command } from "./support/command.ts";
import { columns, say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";

export const command: Command = {
  help: `Checks what a deployment needs from the account, and names what is missing.
Quotas, models, images, instance types per zone, an existing cluster, built functions. It changes nothing. Every
check runs even if another one fails; it exits with 1 when something is missing.`,
  async run({ file }) {
    await preflight(load(file));
  },
};

/** In the order in which they are printed. */
const CHECKS: Record<string, Check> = {
  account,
  programs,
  functions,
  images,
  "image cache": imageCache,
  models,
  results,
  instances,
  "GPU quotas": gpuQuotas,
  cluster,
  zones,
  network,
  endpoints,
  versions,
  "front door": submitApi,
  subscriptions,
  tracing,
};

/** Prints all findings. Throws if a deployment would not come to work. */
export async function preflight(config: Config): Promise<void> {
  const findings = await look(config);
  say(columns(findings.map(({ verdict, about, detail }) => [verdict, about, detail])));
  const missing = findings.filter(({ verdict }) => verdict === "missing");
  if (missing.length > 0) {
    throw new Failure(
      `\n${missing.length} missing: ${[...new Set(missing.map(({ about }) => about))].join(", ")}`,
    );
  }
}

/** All checks at once; one that fails is a finding, too. */
export async function look(config: Config, checks = CHECKS): Promise<(Finding & { about: string })[]> {
  const found = await Promise.all(
    Object.entries(checks).map(async ([about, check]) => {
      const findings = await check(config).catch((error) => [unanswered(error as Error)]);
      return findings.map((finding) => ({ ...finding, about }));
    }),
  );
  return found.flat();
}

/**
 * Who may not look may still deploy, with CloudFormation's rights; any other error would meet the deployment,
 * too.
 */
function unanswered(error: Error): Finding {
  const detail = `could not be checked: ${reasonOf(error)}`;
  return { verdict: isDenied(error) ? "warning" : "missing", detail };
}
