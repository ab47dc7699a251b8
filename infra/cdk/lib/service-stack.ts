import { join } from "node:path";

import { CfnOutput, Fn, Stack, type StackProps, aws_sqs as sqs } from "aws-cdk-lib";
import type { Construct } from "constructs";

import { Alarms } from "./alarms.ts";
import { Completions } from "./completions.ts";
import type { Config } from "./config/types.ts";
import { Dashboard } from "./dashboard.ts";
import { DeadLetters } from "./dead-letters.ts";
import { SubmitApi } from "./submit-api.ts";
import type { ServiceHandover } from "./handover.ts";
import { Results } from "./results.ts";
import { TaskBus } from "./task-bus.ts";
import { TaskRecords } from "./task-records.ts";

export interface ServiceStackProps extends StackProps {
  config: Config;
  /** The folder with the functions' zips. */
  functions: string;
}

/** Everything that is no cluster: the front door, the bus, the results, the records, and what watches them. */
export class ServiceStack extends Stack {
  readonly handover: ServiceHandover;

  constructor(scope: Construct, id: string, { config, functions, ...props }: ServiceStackProps) {
    super(scope, id, { description: "Darkroom: front door, queues and results", ...props });

    const { bucket } = new Results(this, "Results", { config });
    const { table } = new TaskRecords(this, "TaskRecords", { config });
    const records = config.records.enabled ? table : undefined;
    const completions = new Completions(this, "Completions", { config });
    const bus = new TaskBus(this, "TaskBus", { config });
    const submitApi = new SubmitApi(this, "FrontDoor", {
      config,
      zip: join(functions, "api-lambda.zip"),
      tasks: bus.topic,
      queues: mapped(bus.queues, ({ queue }) => queue),
      bucket,
      records,
    });
    const deadLetters = new DeadLetters(this, "DeadLetters", {
      config,
      zip: join(functions, "dead-letter.zip"),
      queues: { undelivered: bus.undelivered, ...mapped(bus.queues, ({ deadLetters }) => deadLetters) },
      bucket,
      records,
      completions: completions.topic,
    });
    const watched = { config, submitApi, bus, completions, deadLetters };
    new Alarms(this, "Alarms", watched);
    new Dashboard(this, "Dashboard", watched);

    this.handover = {
      // By their names, which are fixed, and not by CloudFormation's exports: those would forbid to take a runtime out of
      // the configuration, since the service, which is deployed first, may not drop what the cluster still imports.
      queues: mapped(bus.queues, (_, runtime) => {
        const queueName = `${config.name}-${runtime}`;
        const arn = this.formatArn({ service: "sqs", resource: queueName });
        return sqs.Queue.fromQueueArn(this, `Handover-${runtime}`, arn);
      }),
      bucket,
      records,
      completions: completions.topic,
    };
    // Exported also when the cluster does not use them: an export that the deployed cluster imports cannot be removed, and
    // the service is deployed first. So is the table itself, and `records.enabled` can be switched at any time.
    this.exportValue(table.tableArn);
    this.exportValue(table.tableName);

    this.output("ApiUrl", submitApi.api.url, "Where tasks are sent: POST <this>v1alpha2");
    if (submitApi.comfy) {
      // SDKs put `/api/v2` after it, so it has no slash at its end.
      const url = Fn.select(0, Fn.split("/prod/", submitApi.comfy.url));
      this.output("ComfyUrl", `${url}/prod`, "COMFY_BASE_URL of the Comfy SDKs");
    }
    this.output("ApiKeys", this.toJsonString(submitApi.api.keys.ids), "The ids of the API keys, by name");
    this.output("ResultsBucket", bucket.bucketName, "Where images and `.out` files go");
    this.output("RecordsTable", table.tableName, "The DynamoDB table with the records of tasks");
    this.output("TasksTopicArn", bus.topic.topicArn, "Takes tasks from the front door, or a predecessor's");
    this.output(
      "CompletionsTopicArn",
      completions.topic.topicArn,
      "Publishes the notifications of finished tasks; subscribe to it",
    );
    this.output(
      "QueueUrls",
      this.toJsonString(mapped(bus.queues, ({ queue }) => queue.queueUrl)),
      "The queues of the runtimes, by name",
    );
  }

  private output(name: string, value: string, description: string): void {
    new CfnOutput(this, name, { value, description });
  }
}

function mapped<From, To>(
  record: Record<string, From>,
  to: (value: From, name: string) => To,
): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, to(value, name)]));
}
