import {
  Duration,
  aws_cloudwatch as cloudwatch,
  aws_cloudwatch_actions as actions,
  type aws_sns as sns,
  type aws_sqs as sqs,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import { AlarmTopic } from "./alarm-topic.ts";
import type { Completions } from "./completions.ts";
import type { Config } from "./config/types.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { SubmitApi } from "./submit-api.ts";
import type { RustFunction } from "./rust-function.ts";
import type { TaskBus } from "./task-bus.ts";

/** SQS sends CloudWatch the metrics of an active queue every minute; five even out what comes and goes. */
const PERIOD = Duration.minutes(5);
const HIGHEST = { period: PERIOD, statistic: "Maximum" };

export interface AlarmsProps {
  config: Config;
  submitApi: SubmitApi;
  bus: TaskBus;
  completions: Completions;
  deadLetters: DeadLetters;
}

/** The alarms of the service: tasks that wait too long, get lost on the way, or cannot be taken. */
export class Alarms extends Construct {
  private readonly deployment: string;
  private readonly action?: cloudwatch.IAlarmAction;

  constructor(scope: Construct, id: string, props: AlarmsProps) {
    super(scope, id);
    const { config, submitApi, bus, completions, deadLetters } = props;
    const { name, alarms } = config;
    this.deployment = name;
    if (alarms.email) {
      const topic = new AlarmTopic(this, "Topic", { topicName: `${name}-alarms`, email: alarms.email });
      this.action = new actions.SnsAction(topic);
    }

    for (const [runtime, queues] of Object.entries(bus.queues)) {
      const age = queues.queue.metricApproximateAgeOfOldestMessage(HIGHEST);
      this.raise(`${runtime}-waits`, age, {
        above: alarms.queueAgeMinutes * 60,
        because: `The oldest task of ${runtime} waits for more than ${alarms.queueAgeMinutes} minutes: no GPU, or too few`,
      });
      this.lettersStay(`${runtime}-dead-letters`, queues.deadLetters);
    }
    this.lettersStay("undelivered", bus.undelivered);
    this.raise("unnotified", completions.unnotified.metricApproximateNumberOfMessagesVisible(HIGHEST), {
      because: "A subscriber did not take a notification; it is kept for 14 days",
    });

    this.topicFails("tasks", bus.topic);
    this.topicFails("completions", completions.topic);
    this.functionFails("front-door", submitApi.function);
    this.functionFails("dead-letter", deadLetters.function);
    this.raise("front-door-5xx", submitApi.api.metricServerError({ period: PERIOD, statistic: "Sum" }), {
      because: "Callers are answered 5xx: their tasks were not accepted",
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
    });
    this.raise(`${id}-stuck`, queue.metricApproximateNumberOfMessagesNotVisible(HIGHEST), {
      periods: 3,
      because: "The dead-letter function cannot end these dead letters; its log says why",
    });
  }

  private topicFails(what: string, topic: sns.ITopic): void {
    this.raise(`${what}-not-delivered`, topic.metricNumberOfNotificationsFailed({ period: PERIOD }), {
      because: `The topic for ${what} could not deliver to a subscriber`,
    });
    // The last stop before a message is lost: the subscription's dead-letter queue does not take it either.
    const lost = topic.metric("NumberOfNotificationsFailedToRedriveToDlq", {
      period: PERIOD,
      statistic: "Sum",
    });
    this.raise(`${what}-lost`, lost, { because: `The topic for ${what} lost a message` });
  }

  private functionFails(what: string, handler: RustFunction): void {
    this.raise(`${what}-errors`, handler.metricErrors({ period: PERIOD }), {
      because: `The ${what} function fails; its log says why`,
    });
    this.raise(`${what}-throttles`, handler.metricThrottles({ period: PERIOD }), {
      because: `The ${what} function is called more often at once than its concurrency allows`,
    });
  }

  private raise(
    id: string,
    metric: cloudwatch.IMetric,
    { above = 0, periods = 1, because }: { above?: number; periods?: number; because: string },
  ): void {
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmName: `${this.deployment}-${id}`,
      alarmDescription: because,
      metric,
      comparisonOperator: cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD,
      threshold: above,
      evaluationPeriods: periods,
      // Queues, topics and functions without traffic report no data and are healthy.
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    if (this.action) {
      alarm.addAlarmAction(this.action);
      alarm.addOkAction(this.action);
    }
  }
}
