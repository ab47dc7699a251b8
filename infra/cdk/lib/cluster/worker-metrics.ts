import { aws_logs as logs, RemovalPolicy } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "../config/types.ts";
import { workerLogGroupOf } from "../metrics.ts";

/** The log group through which workers publish metrics in CloudWatch (embedded metric format). */
export class WorkerMetrics extends Construct {
  readonly logGroup: logs.ILogGroup;

  constructor(scope: Construct, id: string, config: Config) {
    super(scope, id);
    this.logGroup = new logs.LogGroup(this, "Logs", {
      logGroupName: workerLogGroupOf(config),
      // CloudWatch keeps the metrics themselves for 15 months; the lines are of use for a closer look.
      retention: logs.RetentionDays.TWO_WEEKS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}
