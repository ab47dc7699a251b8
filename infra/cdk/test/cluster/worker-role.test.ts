import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";

import { WRITTEN_BY_OTHERS } from "../../lib/cluster/worker-role.ts";
import { example, only, resources, statementsOf, synth, target } from "./support.ts";

const { template } = synth(example("full"));

const [logGroup] = only(template, "AWS::Logs::LogGroup", { LogGroupName: "/darkroom/studio/metrics" });

/** The statements of the workers of a runtime, with ARNs as text. */
function workers(runtime: string, of = template) {
  const [, association] = only(of, "AWS::EKS::PodIdentityAssociation", { ServiceAccount: runtime });
  const statements = statementsOf(of, target(association.Properties.RoleArn));
  return JSON.parse(
    JSON.stringify(statements)
      .replaceAll(/\{"Fn::ImportValue":"studio-service:ExportsOutput\w+Results\w+"\}/g, '"BUCKET"')
      .replaceAll(/\{"Fn::ImportValue":"studio-service:ExportsOutput\w+TaskRecords\w+"\}/g, '"TABLE"')
      .replaceAll(/\{"Fn::ImportValue":"studio-service:ExportsOutput\w+Completions\w+"\}/g, '"TOPIC"')
      .replaceAll('{"Ref":"AWS::Partition"}', '"aws"')
      .replaceAll(/\{"Fn::Join":\["",(\[[^\]]*\])\]\}/g, (_, parts) =>
        JSON.stringify(JSON.parse(parts).join("")),
      ),
  );
}

describe("the workers of a runtime", () => {
  it("may do exactly this", () => {
    expect(workers("sdruntime")).toEqual([
      {
        Sid: "WorksOnItsQueue",
        Effect: "Allow",
        Action: ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"],
        Resource: "arn:aws:sqs:us-west-2:111122223333:studio-sdruntime",
      },
      { Sid: "StoresResults", Effect: "Allow", Action: "s3:PutObject", Resource: "BUCKET/*" },
      { Sid: "ReadsResultsAndTasks", Effect: "Allow", Action: "s3:GetObject", Resource: "BUCKET/*" },
      { Sid: "TellsMissingFromForbidden", Effect: "Allow", Action: "s3:ListBucket", Resource: "BUCKET" },
      {
        Sid: "RecordsTasks",
        Effect: "Allow",
        Action: ["dynamodb:GetItem", "dynamodb:UpdateItem"],
        Resource: "TABLE",
      },
      { Sid: "NotifiesOfResults", Effect: "Allow", Action: "sns:Publish", Resource: "TOPIC" },
      {
        Sid: "PublishesMetrics",
        Effect: "Allow",
        Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
        Resource: { "Fn::GetAtt": [logGroup, "Arn"] },
      },
      {
        Sid: "ReadsInputs",
        Effect: "Allow",
        Action: "s3:GetObject",
        Resource: "arn:aws:s3:::my-company-uploads/*",
      },
      {
        Sid: "LeavesToOthersWhatIsTheirs",
        Effect: "Deny",
        Action: "s3:PutObject",
        Resource: ["BUCKET/_darkroom/tasks/*", "BUCKET/_darkroom/uploads/*"],
      },
    ]);
  });

  it("have a queue of their own, and read no bucket that is not named", () => {
    const statements = workers("comfyui");
    expect(statements[0].Resource).toBe("arn:aws:sqs:us-west-2:111122223333:studio-comfyui");
    expect(JSON.stringify(statements)).not.toMatch(/sdruntime|my-company/);
  });

  it("touch no table where tasks are not recorded", () => {
    const without = synth(example("full", ({ records }) => (records.enabled = false))).template;
    expect(JSON.stringify(workers("sdruntime", without))).not.toContain("dynamodb");
  });

  it("publish no metrics where these are disabled", () => {
    const without = synth(example("full", ({ metrics }) => (metrics.enabled = false))).template;
    expect(JSON.stringify(workers("sdruntime", without))).not.toContain("logs:");
    expect(resources(without, "AWS::Logs::LogGroup", { LogGroupName: "/darkroom/studio/metrics" })).toEqual(
      [],
    );
  });

  it("may send spans to X-Ray, unless an agent takes them", () => {
    const sends = { Sid: "SendsTraces", Effect: "Allow", Action: "xray:PutTraceSegments", Resource: "*" };
    const toXray = synth(example("full", ({ tracing }) => delete tracing.endpoint)).template;
    expect(workers("sdruntime", toXray)).toContainEqual(sends);
    expect(workers("sdruntime")).not.toContainEqual(sends);
  });

  it("get nothing beside it from managed policies", () => {
    const roles = resources(template, "AWS::IAM::Role").filter(([id]) => id.startsWith("Worker"));
    expect(roles).toHaveLength(2);
    for (const [, { Properties }] of roles) expect(Properties).not.toHaveProperty("ManagedPolicyArns");
  });
});

describe("the reserved prefix", () => {
  /** A new part is listed here with its writer: workers may write what is missing. */
  const WRITTEN_BY_WORKERS = ["attempts", "failed", "unreadable"];

  it("has these parts, and the front door's alone is denied", () => {
    const keys = fileURLToPath(new URL("../../../../shared-schema/src/keys.rs", import.meta.url));
    const parts = readFileSync(keys, "utf8").matchAll(/\{RESERVED_SEGMENT\}\/([a-z]+)\//g);
    const denied = WRITTEN_BY_OTHERS.map((pattern) => pattern.split("/")[1]);
    expect([...parts].map(([, part]) => part).sort()).toEqual([...WRITTEN_BY_WORKERS, ...denied].sort());
  });
});
