// Who may use kubectl on a new cluster: deploying alone makes nobody an administrator.

import { readFileSync, writeFileSync } from "node:fs";

import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

import { put } from "../../lib/config/edit.ts";
import { load } from "../../lib/config/load.ts";
import type { Config } from "../../lib/config/types.ts";
import { aws } from "../support/aws.ts";
import { answer, say } from "../support/console.ts";
import { clusterStack, Stacks } from "../support/stacks.ts";

/**
 * Asks for administrators before a cluster is made without any, and writes the answer into the file. An empty answer is one,
 * too, and without a terminal nobody is asked.
 */
export async function withAdministrators(file: string, config: Config, ask = answer): Promise<Config> {
  const { administrators, existing } = config.cluster;
  if (administrators.length > 0 || existing || (await Stacks.of(config).find(clusterStack(config))))
    return config;
  const own = roleOf((await new STSClient(aws(config)).send(new GetCallerIdentityCommand({}))).Arn);
  const given = await ask(
    `Nobody may use kubectl on the new cluster. ARNs of roles or users that may${own ? `, such as ${own}` : ""} (empty for none): `,
  );
  const arns = (given ?? "").split(/[\s,]+/).filter(Boolean);
  if (arns.length === 0) {
    say("nobody may use kubectl; `cluster.administrators` changes it at any time");
    return config;
  }
  const text = readFileSync(file, "utf8");
  writeFileSync(file, put(text, "cluster", "administrators", JSON.stringify(arns)));
  try {
    return load(file);
  } catch (error) {
    writeFileSync(file, text);
    throw error;
  }
}

/** The role of a session, as far as its name says it: roles with a path have another ARN. */
function roleOf(arn = ""): string | undefined {
  const [, partition, account, role] = /^arn:([^:]+):sts::(\d+):assumed-role\/([^/]+)\//.exec(arn) ?? [];
  if (role?.startsWith("AWSReservedSSO_")) return undefined;
  return role ? `arn:${partition}:iam::${account}:role/${role}` : /:user\//.test(arn) ? arn : undefined;
}
