// The service's stack of an example, synthesized with stand-ins for the functions' zips.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { strToU8, zipSync } from "fflate";

import type { Config } from "../../lib/config/types.ts";
import { ServiceStack } from "../../lib/service-stack.ts";
import { tag } from "../../lib/tags.ts";
import { type Example, example, oncePerExample } from "./examples.ts";

/** What a test reads in a template is of whatever shape CloudFormation gives it. */
export type Json = any;

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const { context } = JSON.parse(readFileSync(path("../../cdk.json"), "utf8")) as {
  context: Record<string, unknown>;
};

/** The feature flags of the app. */
export const CONTEXT = context;

/** A folder with the zips that a deployment needs. */
export const FUNCTIONS = mkdtempSync(join(tmpdir(), "functions-"));
for (const name of ["api-lambda", "dead-letter"]) {
  writeFileSync(join(FUNCTIONS, `${name}.zip`), zipSync({ bootstrap: strToU8(`stands in for ${name}`) }));
}

export { example, type Example };

export interface Synthesized {
  app: App;
  stack: ServiceStack;
  template: Template;
}

/** The service's stack of that configuration; with the app's tags if they matter. */
export function synth(config: Config, { tagged = false } = {}): Synthesized {
  return tagged ? synthesized(config, true) : shared(config);
}

const shared = oncePerExample((config) => synthesized(config, false));

function synthesized(config: Config, tagged: boolean): Synthesized {
  const app = new App({ context });
  const env = { account: config.account, region: config.region };
  const stack = new ServiceStack(app, `${config.name}-service`, { env, config, functions: FUNCTIONS });
  if (tagged) tag(app, config);
  return { app, stack, template: Template.fromStack(stack) };
}

/** The template of an example, changed by `change`. */
export function templateOf(name: Example, change?: (config: Config) => void): Template {
  return synth(example(name, change)).template;
}

/** The one resource of that type with those properties: its logical id and its properties. */
export function only(template: Template, type: string, properties: object = {}): [string, Json] {
  const found = Object.entries(template.findResources(type, { Properties: properties }));
  const [first, ...more] = found;
  if (!first || more.length > 0)
    throw new Error(`${found.length} of ${type} ${JSON.stringify(properties)}, not one`);
  return [first[0], first[1]["Properties"]];
}

/** All resources of that type, by logical id: their properties. */
export function all(template: Template, type: string): Record<string, Json> {
  const found = Object.entries(template.findResources(type));
  return Object.fromEntries(found.map(([id, resource]) => [id, resource["Properties"] ?? {}]));
}

/** What the role of that function may do: all of it. */
export function statementsOf(template: Template, functionName: string): Json[] {
  const [, { Role }] = only(template, "AWS::Lambda::Function", { FunctionName: functionName });
  const [role] = Role["Fn::GetAtt"];
  const policies = Object.values(all(template, "AWS::IAM::Policy"));
  return policies
    .filter(({ Roles }) => Roles.some(({ Ref }: Json) => Ref === role))
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
}
