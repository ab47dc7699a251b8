import { describe, expect, it } from "vitest";

import { all, only, templateOf, type Json } from "./support/service.ts";

const bucket = (...which: Parameters<typeof templateOf>): Json => {
  const [resource] = Object.values(templateOf(...which).findResources("AWS::S3::Bucket"));
  return resource;
};
const rules = (lifetimeDays: number): Json[] =>
  bucket("full", ({ results }) => (results.lifetimeDays = lifetimeDays)).Properties.LifecycleConfiguration
    .Rules;

describe("the bucket", () => {
  it("is private and encrypted", () => {
    expect(bucket("minimal").Properties).toMatchObject({
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      OwnershipControls: { Rules: [{ ObjectOwnership: "BucketOwnerEnforced" }] },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: "AES256" } }],
      },
    });
  });

  it("is reached over TLS 1.2 or later only", () => {
    const [, { PolicyDocument }] = only(templateOf("minimal"), "AWS::S3::BucketPolicy");
    const conditions = PolicyDocument.Statement.map(({ Effect, Condition }: Json) => ({ Effect, Condition }));
    expect(conditions).toEqual([
      { Effect: "Deny", Condition: { Bool: { "aws:SecureTransport": "false" } } },
      { Effect: "Deny", Condition: { NumericLessThan: { "s3:TlsVersion": 1.2 } } },
    ]);
  });

  it("lets web pages store what they have presigned URLs for, and read nothing", () => {
    expect(bucket("minimal").Properties.CorsConfiguration.CorsRules).toEqual([
      { AllowedOrigins: ["*"], AllowedMethods: ["PUT"], AllowedHeaders: ["content-type"], MaxAge: 3600 },
    ]);
  });

  it("has the name that was chosen, or one that CloudFormation makes up", () => {
    expect(bucket("full").Properties.BucketName).toBe("my-company-images");
    expect(bucket("minimal").Properties).not.toHaveProperty("BucketName");
  });
});

describe("its lifecycle", () => {
  it("deletes results after their lifetime", () => {
    expect(rules(14)).toContainEqual({ Id: "results", Status: "Enabled", ExpirationInDays: 14 });
  });

  it("keeps results for ever where that is wanted, and yet not what Darkroom keeps for itself", () => {
    expect(rules(0).map(({ Id }) => Id)).toEqual(["darkroom", "unfinished-uploads"]);
  });

  it("deletes Darkroom's own later than any queue forgets the message that refers to it", () => {
    const own = rules(0).find(({ Id }) => Id === "darkroom");
    expect(own).toEqual({ Id: "darkroom", Status: "Enabled", Prefix: "_darkroom/", ExpirationInDays: 30 });
    const retentions = Object.values(all(templateOf("full"), "AWS::SQS::Queue")).map(
      ({ MessageRetentionPeriod }) => MessageRetentionPeriod / 86400,
    );
    expect(own.ExpirationInDays).toBeGreaterThan(Math.max(...retentions));
  });

  it("clears away uploads that nobody finishes", () => {
    expect(rules(0)).toContainEqual({
      Id: "unfinished-uploads",
      Status: "Enabled",
      AbortIncompleteMultipartUpload: { DaysAfterInitiation: 1 },
    });
  });
});

describe("at the end of the stack", () => {
  it("stays with what is in it", () => {
    expect(bucket("minimal").DeletionPolicy).toBe("Retain");
    templateOf("minimal").resourceCountIs("Custom::S3AutoDeleteObjects", 0);
  });

  it("is emptied and deleted where that is wanted, and leaves no log behind", () => {
    const template = templateOf("minimal", ({ results }) => (results.keepOnDestroy = false));
    const [resource] = Object.values(template.findResources("AWS::S3::Bucket"));
    expect(resource?.["DeletionPolicy"]).toBe("Delete");
    template.resourceCountIs("Custom::S3AutoDeleteObjects", 1);

    const [logs] = only(template, "AWS::Logs::LogGroup", {
      LogGroupName: "/aws/lambda/darkroom-empty-results",
    });
    only(template, "AWS::Lambda::Function", { LoggingConfig: { LogGroup: { Ref: logs } } });
  });
});
