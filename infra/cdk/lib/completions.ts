import { Duration, type aws_sns as sns, aws_sns_subscriptions as subscriptions } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";
import { PrivateQueue } from "./private-queue.ts";
import { PrivateTopic } from "./private-topic.ts";

/**
 * SNS gives an HTTPS endpoint up after three retries within a minute unless configured otherwise. These twelve span
 * most of the hour that it allows at most (SNS developer guide, "message delivery retries").
 */
const WEBHOOK_RETRIES = {
  healthyRetryPolicy: {
    minDelayTarget: Duration.seconds(5),
    maxDelayTarget: Duration.seconds(290),
    numRetries: 12,
  },
};

/** Notifications of completed tasks: a topic with emails, webhooks and queues. */
export class Completions extends Construct {
  readonly topic: sns.ITopic;
  /** Notifications that a subscriber did not take. Nobody reads it by itself: an alarm rises. */
  readonly unnotified: PrivateQueue;

  constructor(scope: Construct, id: string, { config }: { config: Config }) {
    super(scope, id);
    const { name, subscriptions: wanted } = config;

    // At SNS's own 256 KiB: more would reach neither emails nor webhooks, and notifications shorten themselves.
    const topic = new PrivateTopic(this, "Topic", { topicName: `${name}-completions` });
    this.topic = topic;
    this.unnotified = new PrivateQueue(this, "Unnotified", {
      queueName: `${name}-unnotified`,
      retentionPeriod: Duration.days(14),
    });
    this.unnotified.endsHere("What is in it has found no taker; people look at it.");
    const deadLetterQueue = this.unnotified;

    for (const address of wanted.emails) {
      topic.addSubscription(new subscriptions.EmailSubscription(address, { deadLetterQueue }));
    }
    for (const url of wanted.webhooks) {
      // In SNS's envelope, as predecessors' receivers expect it, and because its signature proves the sender.
      const options = { deadLetterQueue, deliveryPolicy: WEBHOOK_RETRIES };
      topic.addSubscription(new subscriptions.UrlSubscription(url, options));
    }
    for (const consumer of wanted.queues) {
      const queue = new PrivateQueue(this, `Queue-${consumer}`, {
        queueName: `${name}-results-${consumer}`,
        retentionPeriod: Duration.days(14),
      });
      queue.endsHere("Its consumer is not ours, and decides what it gives up.");
      // Raw: the queue takes messages of this topic only, so the envelope would add no information.
      const options = { deadLetterQueue, rawMessageDelivery: true };
      topic.addSubscription(new subscriptions.SqsSubscription(queue, options));
    }
  }
}
