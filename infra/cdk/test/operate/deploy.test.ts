// What deploying says and does, and the keys of what is deployed.

import { APIGatewayClient, CreateApiKeyCommand } from "@aws-sdk/client-api-gateway";
import { describe, expect, test } from "vitest";

import { apiKeys } from "../../operate/api-keys.ts";
import { deploy } from "../../operate/deploy.ts";
import { aws } from "../../operate/support/aws.ts";
import { Stacks } from "../../operate/support/stacks.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { makeStack } from "./support/deployment.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const terminal = withTerminal();
const config = configuration();
const stacks = () => Stacks.of(config);

describe("api-keys", () => {
  test("prints each key of the configuration with the value that API Gateway made up", async () => {
    const gateway = new APIGatewayClient(aws(config));
    const made = await gateway.send(new CreateApiKeyCommand({ name: "darkroom-shop", enabled: true }));
    await makeStack("darkroom-service", { ApiKeys: JSON.stringify({ shop: made.id }) });
    expect(made.value).toBeTruthy();
    expect(await apiKeys(config)).toEqual([{ name: "shop", value: made.value }]);
  });

  test("says what is missing before a deployment", async () => {
    await expect(apiKeys(config)).rejects.toThrow(
      "the stack `darkroom-service` does not exist; `infra/operate deploy`",
    );
    await makeStack("darkroom-service");
    await expect(apiKeys(config)).rejects.toThrow("has no output `ApiKeys`");
  });
});

describe("deploy", () => {
  test("bootstraps once, deploys both stacks, and says how to begin", async () => {
    const calls: string[] = [];
    const cdk = async (...args: string[]) => {
      calls.push(args.slice(0, 2).join(" "));
      if (args[0] === "bootstrap") await makeStack("CDKToolkit");
      else if (!(await stacks().find("darkroom-service")))
        await makeStack("darkroom-service", {
          ApiUrl: "https://abc.execute-api.us-west-2.amazonaws.com/prod/",
        });
    };
    await deploy(config, cdk, stacks());
    await deploy(config, cdk, stacks());
    expect(calls).toEqual([`bootstrap aws://${ACCOUNT}/us-west-2`, "deploy --all", "deploy --all"]);
    expect(terminal.text).toContain("front door  https://abc.execute-api.us-west-2.amazonaws.com/prod\n");
    const [, body = ""] = /-d '(.*)'/.exec(terminal.text) ?? [];
    expect(JSON.parse(body).task.metadata.runtime).toBe("sdruntime");
  });
});
