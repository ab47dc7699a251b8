// Both stacks of the example that has everything.

import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";

import { ClusterStack } from "../../lib/cluster-stack.ts";
import { ServiceStack } from "../../lib/service-stack.ts";
import { CONTEXT, example, FUNCTIONS } from "../support/service.ts";

export function stacks(): [service: Template, cluster: Template] {
  const config = example("full");
  const app = new App({ context: CONTEXT });
  const env = { account: config.account, region: config.region };
  const service = new ServiceStack(app, "service", { env, config, functions: FUNCTIONS });
  const cluster = new ClusterStack(app, "cluster", { env, config, service: service.handover });
  return [Template.fromStack(service), Template.fromStack(cluster)];
}
