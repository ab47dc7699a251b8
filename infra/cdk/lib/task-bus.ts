import type { aws_sns as sns } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";
import { PrivateQueue } from "./private-queue.ts";
import { PrivateTopic } from "./private-topic.ts";
import { DEAD_LETTER_RETENTION, DEAD_LETTER_VISIBILITY, RuntimeQueue } from "./runtime-queue.ts";

/** What SNS takes unless a topic says otherwise, in bytes; the only size that China has (SNS quotas). */
const USUAL_MESSAGE_BYTES = 262_144;

/** The way of tasks from the front door to the workers: one topic, and a queue per runtime. */
export class TaskBus extends Construct {
  readonly topic: sns.ITopic;
  /** Tasks that SNS could not deliver to their queue. */
  readonly undelivered: PrivateQueue;
  /** By the runtime's name. */
  readonly queues: Record<string, RuntimeQueue> = {};

  constructor(scope: Construct, id: string, { config }: { config: Config }) {
    super(scope, id);
    const { name, api, runtimes } = config;

    this.topic = new PrivateTopic(this, "Topic", {
      topicName: `${name}-tasks`,
      maximumMessageSize: api.messageBytes > USUAL_MESSAGE_BYTES ? api.messageBytes : undefined,
    });
    this.undelivered = new PrivateQueue(this, "Undelivered", {
      queueName: `${name}-undelivered`,
      retentionPeriod: DEAD_LETTER_RETENTION,
      // Read by the dead-letter function, as the dead-letter queues are.
      visibilityTimeout: DEAD_LETTER_VISIBILITY,
    });
    this.undelivered.endsHere("It is a dead-letter queue itself, of the topic's subscriptions.");
    this.undelivered.admit(this.topic);

    for (const runtime of runtimes) {
      this.queues[runtime.name] = new RuntimeQueue(this, runtime.name, {
        deployment: name,
        runtime,
        tasks: this.topic,
        undelivered: this.undelivered,
      });
    }
  }
}
