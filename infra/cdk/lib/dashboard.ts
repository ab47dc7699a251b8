import { Duration, Stack, aws_cloudwatch as cloudwatch } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Completions } from "./completions.ts";
import type { Config } from "./config/types.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { SubmitApi } from "./submit-api.ts";
import type { TaskBus } from "./task-bus.ts";

/** Columns that CloudWatch's dashboards have. */
const WIDTH = 24;

export interface DashboardProps {
  config: Config;
  submitApi: SubmitApi;
  bus: TaskBus;
  completions: Completions;
  deadLetters: DeadLetters;
}

/** The way of a task on one page, in the order in which it travels. */
export class Dashboard extends Construct {
  constructor(
    scope: Construct,
    id: string,
    { config, submitApi, bus, completions, deadLetters }: DashboardProps,
  ) {
    super(scope, id);
    const { api, function: handler } = submitApi;
    const queues = Object.entries(bus.queues);
    const maximum = { statistic: "Maximum" };

    const dashboard = new cloudwatch.Dashboard(this, "Dashboard", {
      // Dashboards have no region: their names are the account's.
      dashboardName: `${config.name}-${Stack.of(this).region}`,
      defaultInterval: Duration.hours(12),
      periodOverride: cloudwatch.PeriodOverride.AUTO,
    });
    dashboard.addWidgets(
      graph("Requests", [api.metricCount(), api.metricClientError(), api.metricServerError()]),
      graph("Time to answer, ms", [
        api.metricLatency({ statistic: "p50" }),
        api.metricLatency({ statistic: "p99" }),
      ]),
      graph("Front door's function", [
        handler.metricInvocations(),
        handler.metricErrors(),
        handler.metricThrottles(),
      ]),
    );
    dashboard.addWidgets(
      graph(
        "Waiting tasks",
        queues.map(([label, { queue }]) =>
          queue.metricApproximateNumberOfMessagesVisible({ label, ...maximum }),
        ),
      ),
      graph(
        "Oldest waiting task, s",
        queues.map(([label, { queue }]) => queue.metricApproximateAgeOfOldestMessage({ label, ...maximum })),
      ),
      graph(
        "Tasks in work",
        queues.map(([label, { queue }]) =>
          queue.metricApproximateNumberOfMessagesNotVisible({ label, ...maximum }),
        ),
      ),
    );
    dashboard.addWidgets(
      graph("Notifications", [
        completions.topic.metricNumberOfMessagesPublished(),
        completions.topic.metricNumberOfNotificationsDelivered(),
        completions.topic.metricNumberOfNotificationsFailed(),
      ]),
      graph("Dead letters", [
        deadLetters.function.metricInvocations({ label: "read" }),
        deadLetters.function.metricErrors({ label: "errors" }),
        bus.undelivered.metricApproximateNumberOfMessagesVisible({ label: "undelivered", ...maximum }),
        ...queues.map(([label, queue]) =>
          queue.deadLetters.metricApproximateNumberOfMessagesVisible({ label, ...maximum }),
        ),
      ]),
      graph("Not notified", [
        completions.unnotified.metricApproximateNumberOfMessagesVisible({ label: "unnotified", ...maximum }),
      ]),
    );
  }
}

/** A third of the page. */
function graph(title: string, left: cloudwatch.IMetric[]): cloudwatch.GraphWidget {
  return new cloudwatch.GraphWidget({ title, left, width: WIDTH / 3 });
}
