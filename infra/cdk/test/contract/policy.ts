// What a role may do, as IAM would decide it for the few forms of policy that the stacks use.

import type { Json } from "../support/service.ts";
import type { Call } from "./support.ts";

/** What CloudFormation's references stand for, in the words of the calls. */
const REFERENCES: [RegExp, string][] = [
  [/TaskRecords/, "records"],
  [/Results/, "results"],
  [/Completions/, "completions"],
  [/TaskBusTopic/, "tasks"],
  [/TaskBus\w+Queue/, "queue"],
];

/** An ARN as text, with the names of our own resources in place of references. */
export function resolve(value: Json): string {
  if (typeof value === "string") return value;
  if (value["Fn::Join"]) return value["Fn::Join"][1].map(resolve).join(value["Fn::Join"][0]);
  if (value["Ref"] === "AWS::Partition") return "aws";
  const text = JSON.stringify(value);
  return REFERENCES.find(([pattern]) => pattern.test(text))?.[1] ?? text;
}

/** Whether the statements allow that call of a runtime's worker, or of a function. */
export function allowed(statements: Json[], call: Call, names: { queue: string; inputs: string }): boolean {
  const resource = arn(call, names);
  const applies = (statement: Json) =>
    [statement.Action].flat().includes(call.action) &&
    [statement.Resource].flat().some((pattern) => matches(resolve(pattern), resource));
  return (
    statements.some((statement) => statement.Effect === "Allow" && applies(statement)) &&
    !statements.some((statement) => statement.Effect === "Deny" && applies(statement))
  );
}

function arn({ resource, key }: Call, names: { queue: string; inputs: string }): string {
  const object = key === undefined ? "" : `/${key.replace("<prefix>", "output").replace("*", "anything")}`;
  if (resource === "queue") return names.queue;
  return resource === "inputs" ? names.inputs + object : resource + object;
}

function matches(pattern: string, text: string): boolean {
  const parts = pattern.split("*").map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(text);
}
