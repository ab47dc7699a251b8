// What the front door needs from the account: concurrency to reserve, and a role for API Gateway's logs.

import { APIGatewayClient, GetAccountCommand } from "@aws-sdk/client-api-gateway";
import { GetAccountSettingsCommand, LambdaClient } from "@aws-sdk/client-lambda";

import type { Config } from "../../lib/config/types.ts";
import { aws } from "../support/aws.ts";
import { serviceStack, Stacks } from "../support/stacks.ts";
import { type Check, type Finding, missing, note, ok } from "./finding.ts";

/**
 * Lambda keeps this many executions unreserved, and refuses a reservation beyond (Lambda developer guide).
 */
const UNRESERVED = 100;

export const submitApi: Check = async (config) => [await concurrency(config), await logRole(config)];

async function concurrency(config: Config): Promise<Finding> {
  const wanted = config.api.concurrency;
  if (wanted === 0) return ok("api.concurrency is 0: nothing is reserved");
  if (await Stacks.of(config).find(serviceStack(config)))
    return ok("deployed, with its concurrency reserved");
  const { AccountLimit } = await new LambdaClient(aws(config)).send(new GetAccountSettingsCommand({}));
  const free = AccountLimit?.UnreservedConcurrentExecutions ?? 0;
  const text = `${free} concurrent executions are unreserved, api.concurrency is ${wanted}`;
  if (free - wanted >= UNRESERVED) return ok(text);
  return missing(
    `${text}, and Lambda keeps ${UNRESERVED} unreserved: set it to ${Math.max(0, free - UNRESERVED)}, or request ` +
      `\`aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 ` +
      `--desired-value ${Math.max(1000, wanted + UNRESERVED)}\``,
  );
}

/** API Gateway writes its logs with one role per account and region, and the service stack sets it. */
async function logRole(config: Config): Promise<Finding> {
  const { cloudwatchRoleArn } = await new APIGatewayClient(aws(config)).send(new GetAccountCommand({}));
  return cloudwatchRoleArn
    ? note(
        `API Gateway writes logs as ${cloudwatchRoleArn}; the stack puts a role that may do the same in its place`,
      )
    : ok("API Gateway has no role for logs yet; the stack sets one");
}
