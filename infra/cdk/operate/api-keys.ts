import { APIGatewayClient, GetApiKeyCommand } from "@aws-sdk/client-api-gateway";

import { load } from "../lib/config/load.ts";
import type { Config } from "../lib/config/types.ts";
import { aws } from "./support/aws.ts";
import type { Command } from "./support/command.ts";
import { columns, say } from "./support/console.ts";
import { serviceStack, Stacks } from "./support/stacks.ts";

export const command: Command = {
  help: `Prints the API keys of the deployment, which API Gateway made up.
Clients send one as \`x-api-key\`. Needs apigateway:GET on the keys.`,
  async run({ file }) {
    const keys = await apiKeys(load(file));
    say(columns(keys.map(({ name, value }) => [name, value])));
  },
};

export interface ApiKey {
  /** As in the configuration. */
  name: string;
  value: string;
}

/** The keys that the service stack has. Its output has their ids; their values are only in API Gateway. */
export async function apiKeys(config: Config): Promise<ApiKey[]> {
  const ids = JSON.parse(await Stacks.of(config).output(serviceStack(config), "ApiKeys")) as Record<
    string,
    string
  >;
  const client = new APIGatewayClient(aws(config));
  return Promise.all(
    Object.entries(ids).map(async ([name, apiKey]) => {
      const { value = "" } = await client.send(new GetApiKeyCommand({ apiKey, includeValue: true }));
      return { name, value };
    }),
  );
}
