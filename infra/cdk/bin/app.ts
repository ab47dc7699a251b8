// The CDK app: from one configuration file to two stacks.

import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

import { App, Validations } from "aws-cdk-lib";
import { AwsSolutionsChecks, ServerlessChecks } from "cdk-nag";

import { ClusterStack } from "../lib/cluster-stack.ts";
import { zipFolder } from "../lib/config/architecture.ts";
import { ConfigError, load } from "../lib/config/load.ts";
import type { Config } from "../lib/config/types.ts";
import { ServiceStack } from "../lib/service-stack.ts";
import { tag } from "../lib/tags.ts";

const file = process.env["DARKROOM_CONFIG"] ?? "../config.yaml";

const config = loadOrLeave();
const functions = resolve(process.env["DARKROOM_FUNCTIONS"] ?? join("../..", zipFolder(config)));
for (const zip of ["api-lambda.zip", "dead-letter.zip"]) {
  if (!existsSync(join(functions, zip)))
    leave(
      `${join(functions, zip)} is missing: \`infra/build-functions\` builds it, \`infra/operate fetch-release\` downloads it`,
    );
}

const app = new App();
const env = { account: config.account, region: config.region };
const service = new ServiceStack(app, `${config.name}-service`, { env, config, functions });
// `infra/operate` hands over the zones that EKS accepts.
const zones = process.env["DARKROOM_ZONES"]?.split(",").filter(Boolean);
const cluster = new ClusterStack(app, `${config.name}-cluster`, {
  env,
  config,
  service: service.handover,
  ...(zones?.length ? { zones } : {}),
});
// The handover names queues instead of importing them, so CDK does not see all of the order.
cluster.addStackDependency(service);

tag(app, config);
Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new ServerlessChecks(app));

function loadOrLeave(): Config {
  try {
    return load(file);
  } catch (error) {
    if (error instanceof ConfigError) leave(error.message);
    throw error;
  }
}

/** Ends with what its user can mend, without a stack trace that would hide it. */
function leave(message: string): never {
  console.error(message);
  process.exit(1);
}
