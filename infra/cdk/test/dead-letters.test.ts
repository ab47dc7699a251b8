import { expect, it } from "vitest";

import { all, only, statementsOf, templateOf, type Json } from "./support/service.ts";

const NAME = "studio-dead-letter";
const template = templateOf("full");
const [functionId, handler] = only(template, "AWS::Lambda::Function", { FunctionName: NAME });
const [bucket] = only(template, "AWS::S3::Bucket");
const [table] = only(template, "AWS::DynamoDB::Table");
const [topic] = only(template, "AWS::SNS::Topic", { TopicName: "studio-completions" });
const [logs] = only(template, "AWS::Logs::LogGroup", { LogGroupName: `/aws/lambda/${NAME}` });
const queues = ["studio-undelivered", "studio-sdruntime-dlq", "studio-comfyui-dlq"].map((name) => ({
  "Fn::GetAtt": [only(template, "AWS::SQS::Queue", { QueueName: name })[0], "Arn"],
}));

it("reads every dead-letter queue, and of a batch gives back only what it could not end", () => {
  const mappings = Object.values(all(template, "AWS::Lambda::EventSourceMapping"));
  expect(mappings.map(({ EventSourceArn }) => EventSourceArn)).toEqual(queues);
  for (const mapping of mappings) {
    expect(mapping).toMatchObject({
      FunctionName: { Ref: functionId },
      FunctionResponseTypes: ["ReportBatchItemFailures"],
      BatchSize: 10,
      ScalingConfig: { MaximumConcurrency: 2 },
    });
  }
});

it("may read and write results, end records, notify, and take from these queues; nothing else", () => {
  const allow = (Action: string | string[], Resource: Json) => ({ Effect: "Allow", Action, Resource });
  const bucketArn = { "Fn::GetAtt": [bucket, "Arn"] };
  expect(statementsOf(template, NAME)).toEqual([
    allow(["logs:CreateLogStream", "logs:PutLogEvents"], { "Fn::GetAtt": [logs, "Arn"] }),
    allow(["xray:PutTraceSegments", "xray:PutTelemetryRecords"], "*"),
    allow(["s3:GetObject", "s3:PutObject"], { "Fn::Join": ["", [bucketArn, "/*"]] }),
    allow("s3:ListBucket", bucketArn),
    allow("dynamodb:UpdateItem", { "Fn::GetAtt": [table, "Arn"] }),
    allow("sns:Publish", { Ref: topic }),
    allow(["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], queues),
  ]);
});

it("has the variables that it needs, and half a minute", () => {
  expect(handler).toMatchObject({ Timeout: 30, MemorySize: 128 });
  expect(handler.Environment.Variables).toEqual({
    S3_BUCKET: { Ref: bucket },
    SNS_TOPIC_ARN: { Ref: topic },
    URL_EXPIRY_SECONDS: "3600",
    RUNTIME_TYPES: "sdruntime=sdwebui,comfyui=comfyui",
    RECORD_TABLE: { Ref: table },
    METRICS_NAMESPACE: "Darkroom/studio",
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://traces.example.com/v1/traces",
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: "0.1",
  });
});
