import { Duration, Stack, type aws_sns as sns, aws_sns, aws_sqs as sqs } from "aws-cdk-lib";
import { Construct } from "constructs";

import { servedModels } from "./config/served-models.ts";
import type { Runtime } from "./config/types.ts";
import { PrivateQueue } from "./private-queue.ts";

/**
 * How long a task waits for a worker: the default of SQS, and the predecessors'. SQS then drops it without a word, hence the
 * alarm on the age of the oldest. The rule for `results.lifetimeDays` in infra/configuration depends on it.
 */
const RETENTION = Duration.days(4);

/**
 * Longer than the queue's: a message that is moved keeps the time at which it was first sent (SQS developer guide,
 * "dead-letter queues"), so one that dies on its fourth day is kept for ten more.
 */
export const DEAD_LETTER_RETENTION = Duration.days(14);

/** AWS asks for six times the timeout of the function that reads a queue: 30 s (Lambda developer guide, "SQS"). */
export const DEAD_LETTER_VISIBILITY = Duration.seconds(180);

/**
 * Receptions until SQS gives a message up: a safety net for tasks that kill each worker. The worker's own bound is
 * `attempts`, 10 at most; giving a task back costs no attempt and yet is a reception, so this is well above.
 */
const MAX_RECEIVE_COUNT = 20;

export interface RuntimeQueueProps {
  /** The deployment's name. */
  deployment: string;
  runtime: Runtime;
  /** Where tasks come from. */
  tasks: sns.ITopic;
  /** Where SNS puts what it cannot deliver. */
  undelivered: PrivateQueue;
}

/** The queue of one runtime: subscribed to its tasks, with a dead-letter queue. */
export class RuntimeQueue extends Construct {
  readonly queue: PrivateQueue;
  readonly deadLetters: PrivateQueue;

  constructor(scope: Construct, id: string, { deployment, runtime, tasks, undelivered }: RuntimeQueueProps) {
    super(scope, id);
    const queueName = `${deployment}-${runtime.name}`;

    this.deadLetters = new PrivateQueue(this, "DeadLetters", {
      queueName: `${queueName}-dlq`,
      retentionPeriod: DEAD_LETTER_RETENTION,
      visibilityTimeout: DEAD_LETTER_VISIBILITY,
      // By its ARN, since the queue in turn refers to its dead-letter queue.
      redriveAllowPolicy: { sourceQueues: [this.byName("Source", queueName)] },
    });
    this.deadLetters.endsHere("It is a dead-letter queue itself.");
    this.queue = new PrivateQueue(this, "Queue", {
      queueName,
      retentionPeriod: RETENTION,
      // The worker extends it while it works; this is how long a killed worker's task waits for the next.
      visibilityTimeout: Duration.seconds(runtime.deadlines.visibility),
      deadLetterQueue: { queue: this.deadLetters, maxReceiveCount: MAX_RECEIVE_COUNT },
    });
    this.queue.admit(tasks);

    const subscription = new aws_sns.CfnSubscription(this, "Subscription", {
      topicArn: tasks.topicArn,
      protocol: "sqs",
      endpoint: this.queue.queueArn,
      filterPolicyScope: "MessageAttributes",
      filterPolicy: filterPolicy(runtime),
      // Predecessors' queue agents read the envelope, and so does the worker.
      rawMessageDelivery: false,
      redrivePolicy: { deadLetterTargetArn: undelivered.queueArn },
    });
    // What comes before SNS may write to the queues would be lost.
    subscription.node.addDependency(this.queue, undelivered);
  }

  private byName(id: string, queueName: string): sqs.IQueue {
    return sqs.Queue.fromQueueArn(
      this,
      id,
      Stack.of(this).formatArn({ service: "sqs", resource: queueName }),
    );
  }
}

/** Tasks that name the runtime, and those of a predecessor's front door, which name a model only. */
export function filterPolicy(runtime: Runtime): object {
  const models = servedModels(runtime);
  const byName = { runtime: [runtime.name] };
  return models.length === 0 ? byName : { $or: [byName, { sd_model_checkpoint: models }] };
}
