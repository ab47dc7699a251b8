import { Duration, type aws_sns as sns, type aws_sqs as sqs } from "aws-cdk-lib";
import type { Construct } from "constructs";

import { AlarmTopic } from "./alarm-topic.ts";
import type { Completions } from "./completions.ts";
import type { Config } from "./config/types.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { runtimeMetric } from "./metrics.ts";
import type { SubmitApi } from "./submit-api.ts";
import type { RustFunction } from "./rust-function.ts";
import type { TaskBus } from "./task-bus.ts";
import { AlarmSet, alarmTopicName } from "./alarm-set.ts";

/** SQS sends CloudWatch the metrics of an active queue every minute; five even out what comes and goes. */
const PERIOD = Duration.minutes(5);
const HIGHEST = { period: PERIOD, statistic: "Maximum" };
const SUM = { period: PERIOD, statistic: "Sum" };

export interface AlarmsProps {
  config: Config;
  submitApi: SubmitApi;
  bus: TaskBus;
  completions: Completions;
  deadLetters: DeadLetters;
}

/**
 * The alarms of the service: tasks that wait too long, get lost on the way, or cannot be taken. Those of the workers
 * are in the cluster's stack, where the workers are (cluster/worker-alarms.ts).
 */
export class Alarms extends AlarmSet {
  constructor(scope: Construct, id: string, props: AlarmsProps) {
    const { config, submitApi, bus, completions, deadLetters } = props;
    super(scope, id, config);
    const { alarms } = config;
    if (alarms.email) {
      this.notify(new AlarmTopic(this, "Topic", { topicName: alarmTopicName(config), email: alarms.email }));
    }

    for (const [runtime, queues] of Object.entries(bus.queues)) {
      const age = queues.queue.metricApproximateAgeOfOldestMessage(HIGHEST);
      this.raise(`${runtime}-waits`, age, {
        above: alarms.queueAgeMinutes * 60,
        because: `The oldest task of ${runtime} waits for more than ${alarms.queueAgeMinutes} minutes: no GPU, or too few`,
        entry: "runtime-waits",
      });
      this.lettersStay(`${runtime}-dead-letters`, queues.deadLetters);
      if (config.metrics.enabled) {
        this.raise(`${runtime}-dead-lettered`, runtimeMetric(config, "TasksDeadLettered", runtime, SUM), {
          because: `A task of ${runtime} failed in a dead-letter queue: it was received too often, or could not be delivered`,
          entry: "runtime-dead-lettered",
        });
      }
    }
    this.lettersStay("undelivered", bus.undelivered);
    this.raise("unnotified", completions.unnotified.metricApproximateNumberOfMessagesVisible(HIGHEST), {
      because: "A subscriber did not take a notification; it is kept for 14 days",
      entry: "unnotified",
    });

    this.topicFails("tasks", bus.topic);
    this.topicFails("completions", completions.topic);
    this.functionFails("front-door", submitApi.function);
    this.functionFails("dead-letter", deadLetters.function);
    this.raise("front-door-5xx", submitApi.api.metricServerError(SUM), {
      because: "Callers are answered 5xx: their tasks were not accepted",
      entry: "front-door-5xx",
    });
  }

  /**
   * The dead-letter function leaves none for long. Not the age of the oldest: SQS leaves out of it what was received
   * more than three times, and a dead letter that cannot be processed soon is.
   */
  private lettersStay(id: string, queue: sqs.IQueue): void {
    this.raise(`${id}-unread`, queue.metricApproximateNumberOfMessagesVisible(HIGHEST), {
      periods: 3,
      because: "Nobody reads these dead letters: is the dead-letter function disabled?",
      entry: "queue-unread",
    });
    this.raise(`${id}-stuck`, queue.metricApproximateNumberOfMessagesNotVisible(HIGHEST), {
      periods: 3,
      because: "The dead-letter function cannot end these dead letters; its log says why",
      entry: "queue-stuck",
    });
  }

  private topicFails(what: string, topic: sns.ITopic): void {
    this.raise(`${what}-not-delivered`, topic.metricNumberOfNotificationsFailed({ period: PERIOD }), {
      because: `The topic for ${what} could not deliver to a subscriber`,
      entry: "topic-not-delivered",
    });
    // The last stop before a message is lost: the subscription's dead-letter queue does not take it either.
    this.raise(`${what}-lost`, topic.metric("NumberOfNotificationsFailedToRedriveToDlq", SUM), {
      because: `The topic for ${what} lost a message`,
      entry: "topic-lost",
    });
  }

  private functionFails(what: string, handler: RustFunction): void {
    this.raise(`${what}-errors`, handler.metricErrors({ period: PERIOD }), {
      because: `The ${what} function fails; its log says why`,
      entry: "function-errors",
    });
    this.raise(`${what}-throttles`, handler.metricThrottles({ period: PERIOD }), {
      because: `The ${what} function is called more often at once than its concurrency allows`,
      entry: "function-throttles",
    });
  }
}
