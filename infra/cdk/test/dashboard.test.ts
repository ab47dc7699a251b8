import { expect, it } from "vitest";

import { only, templateOf, type Json } from "./support/service.ts";

const [, { DashboardName, DashboardBody }] = only(templateOf("full"), "AWS::CloudWatch::Dashboard");
const parts: Json[] = DashboardBody["Fn::Join"][1];
const body = JSON.parse(parts.map((part) => (typeof part === "string" ? part : "x")).join(""));

it("has a name that another region does not take, since dashboards have none", () => {
  expect(DashboardName).toBe("studio-us-west-2");
});

it("shows the way of a task: asked for, waiting, in work, notified", () => {
  const titles = body.widgets.map(({ properties }: Json) => properties.title);
  expect(titles).toEqual([
    "Requests",
    "Time to answer, ms",
    "Front door's function",
    "Waiting tasks",
    "Oldest waiting task, s",
    "Tasks in work",
    "Notifications",
    "Dead letters",
    "Not notified",
  ]);
});

it("has a line for each runtime", () => {
  const waiting = body.widgets.find(({ properties }: Json) => properties.title === "Waiting tasks");
  const labels = waiting.properties.metrics.map((metric: Json[]) => metric.at(-1).label);
  expect(labels).toEqual(["sdruntime", "comfyui"]);
});
