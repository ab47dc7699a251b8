import { Duration, Stack, aws_cloudwatch as cloudwatch } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Completions } from "./completions.ts";
import type { Config } from "./config/types.ts";
import { costs, outcomes } from "./dashboard/outcomes.ts";
import { fleet } from "./dashboard/fleet.ts";
import { graph, heading } from "./dashboard/widgets.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { deploymentMetric, runtimeMetric } from "./metrics.ts";
import type { SubmitApi } from "./submit-api.ts";
import type { TaskBus } from "./task-bus.ts";

export interface DashboardProps {
  config: Config;
  submitApi: SubmitApi;
  bus: TaskBus;
  completions: Completions;
  deadLetters: DeadLetters;
}

/** The way of a task on one page, in the order in which it travels: front door, queues, fleet, outcomes, costs. */
export class Dashboard extends Construct {
  constructor(scope: Construct, id: string, props: DashboardProps) {
    super(scope, id);
    const { config } = props;
    const dashboard = new cloudwatch.Dashboard(this, "Dashboard", {
      // Dashboards have no region: their names are the account's.
      dashboardName: `${config.name}-${Stack.of(this).region}`,
      defaultInterval: Duration.hours(12),
      periodOverride: cloudwatch.PeriodOverride.AUTO,
    });
    const sections: Record<string, cloudwatch.IWidget[]> = {
      "Front door": frontDoor(props),
      Queues: queues(props),
      Fleet: fleet(config),
      Outcomes: [...outcomes(config), ...notifications(props)],
      Cost: costs(config),
    };
    for (const [title, widgets] of Object.entries(sections)) {
      if (widgets.length > 0) dashboard.addWidgets(heading(title), ...widgets);
    }
  }
}

function frontDoor({ config, submitApi: { api, function: handler } }: DashboardProps): cloudwatch.IWidget[] {
  const accepted = config.runtimes.map(({ name }) =>
    runtimeMetric(config, "TasksAccepted", name, { label: name, statistic: "Sum" }),
  );
  const refused = deploymentMetric(config, "RequestsRefused", {
    label: "refused requests",
    statistic: "Sum",
  });
  return [
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
    ...(config.metrics.enabled ? [graph("Accepted tasks, refused requests", [...accepted, refused])] : []),
  ];
}

function queues({ config, bus, deadLetters }: DashboardProps): cloudwatch.IWidget[] {
  const all = Object.entries(bus.queues);
  const maximum = { statistic: "Maximum" };
  const each = (metric: (queue: (typeof bus.queues)[string], label: string) => cloudwatch.IMetric) =>
    all.map(([label, queue]) => metric(queue, label));
  return [
    graph(
      "Waiting tasks",
      each(({ queue }, label) => queue.metricApproximateNumberOfMessagesVisible({ label, ...maximum })),
    ),
    graph(
      "Oldest waiting task, s",
      each(({ queue }, label) => queue.metricApproximateAgeOfOldestMessage({ label, ...maximum })),
    ),
    graph(
      "Tasks in work",
      each(({ queue }, label) => queue.metricApproximateNumberOfMessagesNotVisible({ label, ...maximum })),
    ),
    ...(config.metrics.enabled
      ? [
          graph(
            "Time in the queue, p95, s",
            each((_, label) => runtimeMetric(config, "QueueAge", label, { label, statistic: "p95" })),
          ),
        ]
      : []),
    graph("Dead letters", [
      deadLetters.function.metricInvocations({ label: "read" }),
      deadLetters.function.metricErrors({ label: "errors" }),
      bus.undelivered.metricApproximateNumberOfMessagesVisible({ label: "undelivered", ...maximum }),
      ...each(({ deadLetters }, label) =>
        deadLetters.metricApproximateNumberOfMessagesVisible({ label, ...maximum }),
      ),
    ]),
  ];
}

function notifications({ completions }: DashboardProps): cloudwatch.IWidget[] {
  const { topic, unnotified } = completions;
  return [
    graph("Notifications", [
      topic.metricNumberOfMessagesPublished(),
      topic.metricNumberOfNotificationsDelivered(),
      topic.metricNumberOfNotificationsFailed(),
    ]),
    graph("Not notified", [
      unnotified.metricApproximateNumberOfMessagesVisible({ label: "unnotified", statistic: "Maximum" }),
    ]),
  ];
}
