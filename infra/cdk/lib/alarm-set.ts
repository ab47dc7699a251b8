import {
  aws_cloudwatch as cloudwatch,
  aws_cloudwatch_actions as actions,
  type aws_sns as sns,
} from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";

/** When an alarm rises, and what it says. */
export interface Raised {
  above?: number;
  below?: number;
  periods?: number;
  because: string;
  /** The entry of the runbook: the anchor of its heading. */
  entry: string;
}

/** The name of the topic that alarms are published to, which both stacks know. */
export const alarmTopicName = ({ name }: Config) => `${name}-alarms`;

/** Alarms of a deployment: their names, where they go, and the entry of the runbook that each links to. */
export class AlarmSet extends Construct {
  protected readonly config: Config;
  private action?: cloudwatch.IAlarmAction;

  constructor(scope: Construct, id: string, config: Config) {
    super(scope, id);
    this.config = config;
  }

  /** Alarms that are raised from now on are published there. */
  protected notify(topic: sns.ITopic): void {
    this.action = new actions.SnsAction(topic);
  }

  protected raise(
    id: string,
    metric: cloudwatch.IMetric,
    { above = 0, below, periods = 1, because, entry }: Raised,
  ): void {
    const { GREATER_THAN_THRESHOLD, LESS_THAN_THRESHOLD } = cloudwatch.ComparisonOperator;
    const alarm = new cloudwatch.Alarm(this, id, {
      alarmName: `${this.config.name}-${id}`,
      alarmDescription: `${because}. What to do: ${this.config.alarms.runbookUrl}#${entry}`,
      metric,
      comparisonOperator: below === undefined ? GREATER_THAN_THRESHOLD : LESS_THAN_THRESHOLD,
      threshold: below ?? above,
      evaluationPeriods: periods,
      // Queues, topics, functions and workers without traffic report no data and are healthy.
      treatMissingData: cloudwatch.TreatMissingData.NOT_BREACHING,
    });
    if (this.action) {
      alarm.addAlarmAction(this.action);
      alarm.addOkAction(this.action);
    }
  }
}
