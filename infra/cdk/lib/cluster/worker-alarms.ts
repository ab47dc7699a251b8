import {
  aws_cloudwatch as cloudwatch,
  aws_sns as sns,
  type aws_sqs as sqs,
  Duration,
  Stack,
} from "aws-cdk-lib";
import type { Construct } from "constructs";

import type { Config } from "../config/types.ts";
import { runtimeMetric } from "../metrics.ts";
import { AlarmSet, alarmTopicName } from "../alarm-set.ts";

const PERIOD = Duration.minutes(5);
const SUM = { period: PERIOD, statistic: "Sum" };

/** Periods without a consumer: longer than the start of a node and of a runtime takes. */
const NO_CONSUMER_PERIODS = 4;

/** A share of fewer tasks than these says little. */
const FAILED_PERIOD = Duration.minutes(15);
const FAILED_TASKS = 10;

/** Less free scratch space than this does not hold the files of a task with large images or video. */
const SCRATCH_BYTES = 1024 ** 3;

export interface WorkerAlarmsProps {
  config: Config;
  /** The queue of each runtime, by its name. */
  queues: Record<string, sqs.IQueue>;
}

/** The alarms of the workers: no consumer, tasks fail, a GPU is broken, a disk is full. */
export class WorkerAlarms extends AlarmSet {
  constructor(scope: Construct, id: string, { config, queues }: WorkerAlarmsProps) {
    super(scope, id, config);
    if (config.alarms.email) {
      // By its name: an export of the service's stack could not be removed while this one imports it.
      const arn = Stack.of(this).formatArn({ service: "sns", resource: alarmTopicName(config) });
      this.notify(sns.Topic.fromTopicArn(this, "Topic", arn));
    }
    for (const [runtime, queue] of Object.entries(queues)) {
      this.noConsumer(runtime, queue);
      if (config.metrics.enabled) this.workersFail(runtime);
    }
  }

  /** Tasks wait, none is in work, and nothing is received: by SQS alone, so also without metrics of workers. */
  private noConsumer(runtime: string, queue: sqs.IQueue): void {
    const highest = { period: PERIOD, statistic: "Maximum" };
    const metric = new cloudwatch.MathExpression({
      expression: "IF(waiting > 0 AND working == 0 AND received == 0, 1, 0)",
      label: `${runtime}: tasks without a consumer`,
      period: PERIOD,
      usingMetrics: {
        waiting: queue.metricApproximateNumberOfMessagesVisible(highest),
        working: queue.metricApproximateNumberOfMessagesNotVisible(highest),
        received: queue.metricNumberOfMessagesReceived(SUM),
      },
    });
    this.raise(`${runtime}-no-consumer`, metric, {
      periods: NO_CONSUMER_PERIODS,
      because: `Tasks of ${runtime} wait, and no worker has received any for ${NO_CONSUMER_PERIODS * PERIOD.toMinutes()} minutes`,
      entry: "runtime-no-consumer",
    });
  }

  private workersFail(runtime: string): void {
    const { config } = this;
    const sums = { period: FAILED_PERIOD, statistic: "Sum" };
    const failed = new cloudwatch.MathExpression({
      expression: `IF(failed + succeeded + canceled + expired >= ${FAILED_TASKS}, 100 * failed / (failed + succeeded + canceled + expired), 0)`,
      label: `${runtime}: failed tasks, %`,
      period: FAILED_PERIOD,
      usingMetrics: {
        failed: runtimeMetric(config, "TasksFailed", runtime, sums),
        succeeded: runtimeMetric(config, "TasksSucceeded", runtime, sums),
        canceled: runtimeMetric(config, "TasksCanceled", runtime, sums),
        expired: runtimeMetric(config, "TasksExpired", runtime, sums),
      },
    });
    this.raise(`${runtime}-fails`, failed, {
      above: config.alarms.failedPercent,
      because: `More than ${config.alarms.failedPercent} % of the tasks of ${runtime} fail`,
      entry: "runtime-fails",
    });
    this.raise(`${runtime}-broken`, runtimeMetric(config, "RuntimeBroken", runtime, SUM), {
      because: `A worker of ${runtime} found its runtime or GPU broken`,
      entry: "runtime-broken",
    });
    const scratch = runtimeMetric(config, "ScratchFree", runtime, { period: PERIOD, statistic: "Minimum" });
    this.raise(`${runtime}-scratch`, scratch, {
      below: SCRATCH_BYTES,
      periods: 2,
      because: `A pod of ${runtime} has less than 1 GiB of scratch space left`,
      entry: "runtime-scratch",
    });
  }
}
