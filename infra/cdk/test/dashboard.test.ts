import { describe, expect, it } from "vitest";

import type { Config } from "../lib/config/types.ts";
import { type Example, only, templateOf, type Json } from "./support/service.ts";

/** The dashboard of an example: its name, and its body with `x` for references. */
function dashboard(change: (config: Config) => void = () => {}, example: Example = "full") {
  const [, { DashboardName, DashboardBody }] = only(
    templateOf(example, change),
    "AWS::CloudWatch::Dashboard",
  );
  const parts: Json[] = DashboardBody["Fn::Join"][1];
  const text = parts.map((part) => (typeof part === "string" ? part : "x")).join("");
  return { name: DashboardName, widgets: JSON.parse(text).widgets as Json[] };
}

const { name, widgets } = dashboard();
const titles = (of: Json[]) => of.map(({ properties }) => properties.title ?? properties.markdown);
const graph = (title: string): Json[] =>
  widgets.find(({ properties }) => properties.title === title).properties.metrics;

it("has a name that another region does not take, since dashboards have none", () => {
  expect(name).toBe("studio-us-west-2");
});

it("shows the way of a task: asked for, waiting, in work, its outcome and its cost", () => {
  expect(titles(widgets).filter((title) => title.startsWith("## "))).toEqual([
    "## Front door",
    "## Queues",
    "## Fleet",
    "## Outcomes",
    "## Cost",
  ]);
  expect(titles(widgets)).toEqual(
    expect.arrayContaining([
      "Accepted tasks, refused requests",
      "Oldest waiting task, s",
      "Pods",
      "Nodes of the cluster",
      "GPU busy, % of the workers' time",
      "GPU utilization (DCGM), %",
      "Cold starts",
      "Spot interruptions in the account",
      "Tasks by outcome",
      "Dollars per image, idle time included",
    ]),
  );
});

it("has a line for each runtime", () => {
  expect(graph("Waiting tasks").map((metric: Json[]) => metric.at(-1).label)).toEqual([
    "sdruntime",
    "comfyui",
  ]);
});

it("divides the cost of an hour by its images", () => {
  const metrics = graph("Dollars per image, idle time included");
  expect(metrics.flat()).toEqual(
    expect.arrayContaining([expect.objectContaining({ label: "comfyui", expression: "cost1 / images1" })]),
  );
  expect(metrics).toContainEqual([
    "Darkroom/studio",
    "Images",
    "runtime",
    "comfyui",
    expect.objectContaining({ id: "images1", period: 3600, stat: "Sum" }),
  ]);
});

it("shows pods, nodes and GPUs by the names and dimensions that the CloudWatch agent has for them", () => {
  const pods = ["ClusterName", "studio", "Namespace", "studio", "PodName", "comfyui"];
  expect(graph("Pods")).toContainEqual(["ContainerInsights", "replicas_desired", ...pods, expect.anything()]);
  expect(graph("GPU utilization (DCGM), %")).toContainEqual([
    "ContainerInsights",
    "pod_gpu_utilization",
    ...pods,
    expect.anything(),
  ]);
  expect(graph("Spot interruptions in the account")).toContainEqual([
    "AWS/Events",
    "TriggeredRules",
    "RuleName",
    "studio-spot-interruptions",
    expect.anything(),
  ]);
});

describe("without a source of metrics", () => {
  it.each([
    ["metrics.enabled", "Darkroom/", ({ metrics }: Config) => void (metrics.enabled = false)],
    [
      "cluster.install.observability",
      "ContainerInsights",
      ({ cluster }: Config) => void (cluster.install.observability = false),
    ],
  ])("has no graph that needs %s", (_, namespace, change) => {
    expect(JSON.stringify(widgets)).toContain(namespace);
    expect(JSON.stringify(dashboard(change).widgets)).not.toContain(namespace);
  });

  it("has no interruptions that nobody counts", () => {
    expect(JSON.stringify(widgets)).toContain("AWS/Events");
    expect(JSON.stringify(dashboard(() => {}, "auto-mode").widgets)).not.toContain("AWS/Events");
  });

  it("has no section that is empty", () => {
    const { widgets } = dashboard(({ metrics }) => (metrics.enabled = false), "existing-cluster");
    expect(JSON.stringify(widgets)).not.toContain("AWS/Events");
    expect(titles(widgets).filter((title) => title.startsWith("## "))).toEqual([
      "## Front door",
      "## Queues",
      "## Outcomes",
    ]);
  });
});
