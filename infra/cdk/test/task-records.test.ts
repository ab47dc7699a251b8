import { describe, expect, it } from "vitest";

import { only, synth, example, templateOf, type Json } from "./support/service.ts";

const table = (...which: Parameters<typeof templateOf>): Json => {
  const [resource] = Object.values(templateOf(...which).findResources("AWS::DynamoDB::Table"));
  return resource;
};
const exportsOf = (enabled: boolean): string[] => {
  const { template } = synth(example("minimal", ({ records }) => (records.enabled = enabled)));
  const outputs = Object.values<Json>(template.toJSON()["Outputs"]);
  return outputs.flatMap(({ Export }) => Export?.Name ?? []).filter((name) => /TaskRecords/.test(name));
};

describe("the table of records", () => {
  it("is billed by the request, and encrypted with DynamoDB's own key", () => {
    const [, properties] = only(templateOf("minimal"), "AWS::DynamoDB::Table");
    expect(properties.BillingMode).toBe("PAY_PER_REQUEST");
    expect(properties.SSESpecification).toEqual({ SSEEnabled: false });
    expect(properties).not.toHaveProperty("TableName");
  });

  it("deletes records when they expire", () => {
    const [, { TimeToLiveSpecification }] = only(templateOf("minimal"), "AWS::DynamoDB::Table");
    expect(TimeToLiveSpecification).toEqual({ AttributeName: "expires", Enabled: true });
  });

  it("has an index for lists and one for quotas, both of keys only", () => {
    const [, { GlobalSecondaryIndexes }] = only(templateOf("minimal"), "AWS::DynamoDB::Table");
    const keys = (partitionKey: string) => [
      { AttributeName: partitionKey, KeyType: "HASH" },
      { AttributeName: "created", KeyType: "RANGE" },
    ];
    const Projection = { ProjectionType: "KEYS_ONLY" };
    expect(GlobalSecondaryIndexes).toEqual([
      { IndexName: "by_owner", KeySchema: keys("owner"), Projection },
      { IndexName: "unfinished", KeySchema: keys("unfinished"), Projection },
    ]);
  });

  it("stays at the end of the stack, protected, as results do", () => {
    expect(table("minimal")).toMatchObject({
      DeletionPolicy: "Retain",
      UpdateReplacePolicy: "Retain",
      Properties: { DeletionProtectionEnabled: true },
    });
  });

  it("goes with the stack where results do", () => {
    expect(table("minimal", ({ results }) => (results.keepOnDestroy = false))).toMatchObject({
      DeletionPolicy: "Delete",
      Properties: { DeletionProtectionEnabled: false },
    });
  });

  it("is exported whether or not tasks are recorded, since a deployed cluster may import it", () => {
    expect(exportsOf(true)).toHaveLength(2);
    expect(exportsOf(false)).toEqual(exportsOf(true));
  });
});

it("is named to no program where tasks are not recorded", () => {
  const { stack, template } = synth(example("full", ({ records }) => (records.enabled = false)));
  expect(stack.handover.records).toBeUndefined();
  for (const { Properties } of Object.values<Json>(template.findResources("AWS::Lambda::Function"))) {
    expect(Properties.Environment?.Variables ?? {}).not.toHaveProperty("RECORD_TABLE");
  }
  for (const { Properties } of Object.values<Json>(template.findResources("AWS::IAM::Policy"))) {
    expect(JSON.stringify(Properties)).not.toContain("dynamodb:");
  }
});
