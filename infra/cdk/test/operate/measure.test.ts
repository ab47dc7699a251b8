import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import { creation, deploymentTable } from "../../operate/measure/deployment.ts";
import { stages, unseen } from "../../operate/measure/stages.ts";
import { coldStartTable, median } from "../../operate/measure/table.ts";
import { at, coldStart, stackEvents } from "./support/cold-start.ts";

const seconds = (seen: ReturnType<typeof coldStart>) => stages(seen).map(({ seconds }) => seconds);

describe("the stages of a cold start", () => {
  test("each lasts from the end of the one before it", () => {
    expect(stages(coldStart())).toEqual([
      { name: "task to pod: SNS, SQS, KEDA", seconds: 14 },
      { name: "pod to instance: Karpenter, EC2", seconds: 6 },
      { name: "instance to node: boot, join", seconds: 42 },
      { name: "node to pod on it: drivers, volumes", seconds: 8 },
      { name: "the runtime's image", seconds: 80 },
      { name: "the runtime's container", seconds: 2 },
      { name: "the runtime: start, model", seconds: 48 },
      { name: "the first image: receive, run, store", seconds: 10 },
    ]);
  });

  test("are those that docs/capacity.md describes", () => {
    const page = readFileSync(new URL("../../../../docs/capacity.md", import.meta.url), "utf8");
    const section = page.split(/^## /m).find((part) => part.startsWith("The stages of a cold start\n")) ?? "";
    const rows = [...section.matchAll(/^\| ([^|]+) \|/gm)].map(([, name]) => name);
    expect(rows.slice(1)).toEqual(stages(coldStart()).map(({ name }) => name));
  });

  test("together they are the whole time, also where something was there before or clocks disagree", () => {
    const warm = coldStart();
    warm.nodeClaim!.status.conditions = [
      { type: "Launched", status: "True", lastTransitionTime: "2026-11-21T00:00:00Z" },
    ];
    warm.node.status.conditions = [
      { type: "Ready", status: "True", lastTransitionTime: "2026-11-21T00:01:00Z" },
    ];
    expect(seconds(warm).slice(0, 4)).toEqual([14, 0, 0, 56]);
    expect(seconds(warm).reduce((a, b) => a + b)).toBe(210);
    const skewed = { ...coldStart(), submitted: at("00:16") };
    expect(seconds(skewed)[0]).toBe(0);
    expect(seconds(skewed).reduce((a, b) => a + b)).toBe(194);
  });

  test("the worker's image is not taken for the runtime's, and what was not to be seen is said", () => {
    expect(unseen(coldStart())).toEqual([]);
    const forgotten = coldStart();
    forgotten.events = forgotten.events.filter(
      ({ involvedObject }) => involvedObject.fieldPath === "spec.containers{worker}",
    );
    forgotten.nodeClaim = undefined;
    expect(unseen(forgotten)).toEqual([
      "no NodeClaim of the pod's node",
      "no event of the image's pull (events live for an hour)",
    ]);
    // Its time goes to the next stage, not away.
    expect(seconds(forgotten).slice(4, 6)).toEqual([0, 82]);
  });

  test("newer events carry another time", () => {
    const seen = coldStart();
    for (const event of seen.events) [event.eventTime, event.lastTimestamp] = [event.lastTimestamp, null];
    expect(seconds(seen)[4]).toBe(80);
  });
});

describe("the table", () => {
  test("medians of odd and even numbers of runs", () => {
    expect([median([3]), median([9, 1, 5]), median([4, 1, 3, 2])]).toEqual([3, 5, 2.5]);
  });

  test("a row per stage, and one for the whole", () => {
    const later = { ...coldStart(), stored: at("03:31") };
    const lines = coldStartTable([stages(coldStart()), stages(later)]).split("\n");
    expect(lines.slice(0, 3)).toEqual([
      "| stage | median | run 1 | run 2 |",
      "|---|---:|---:|---:|",
      "| task to pod: SNS, SQS, KEDA | 14 s | 14 s | 14 s |",
    ]);
    expect(lines.at(-1)).toBe("| **zero to first image** | 211 s | 210 s | 211 s |");
    expect(lines).toHaveLength(11);
  });
});

describe("the deployment", () => {
  test("from the stack's begin to its end, with what took longest, whatever came later", () => {
    const found = creation("darkroom-cluster", stackEvents());
    expect(found?.slowest).toEqual([
      { resource: "AWS::EKS::Cluster Cluster", seconds: 590 },
      { resource: "AWS::EKS::Nodegroup Nodes", seconds: 200 },
    ]);
    const service = {
      stack: "darkroom-service",
      begun: new Date(at("00:00")),
      completed: new Date(at("01:30")),
      slowest: [],
    };
    expect(deploymentTable([service, found!]).split("\n").slice(2)).toEqual([
      "| darkroom-service | 1 min 30 s |",
      "| darkroom-cluster | 15 min 20 s |",
      "|   AWS::EKS::Cluster Cluster | 9 min 50 s |",
      "|   AWS::EKS::Nodegroup Nodes | 3 min 20 s |",
      "| **all, from the first stack's begin to the last one's end** | 15 min 30 s |",
    ]);
  });

  test("a stack that never came to be has no time", () => {
    const failed = stackEvents().filter(({ ResourceStatus }) => ResourceStatus !== "CREATE_COMPLETE");
    expect(creation("darkroom-cluster", failed)).toBeUndefined();
  });
});
