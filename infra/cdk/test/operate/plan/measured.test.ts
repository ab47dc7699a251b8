// The model and the simulation beside what was measured, and beside the files that they take their constants from.

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

import { describe, expect, test } from "vitest";
import { parse } from "yaml";

import { EMPTY_NODE_SECONDS } from "../../../operate/plan/from-zero.ts";
import { RULES } from "../../../operate/plan/pods.ts";
import { demandOf, HELD, RECEIVE_AHEAD } from "../../../operate/plan/workload.ts";
import { INFRA } from "../../../operate/support/paths.ts";
import { simulate } from "./simulation.ts";
import { load, runtime, scaling } from "./support.ts";

const repository = (file: string) => readFileSync(resolve(INFRA, "..", file), "utf8");

/**
 * KEDA 2.20.2 and Kubernetes 1.35.4 with the chart, on one machine, 27 November 2026: from a task to the first pod 5 to 9 s, and
 * from 300 tasks at one pod to ten pods within 17 s.
 */
const REACTION = { first: [5, 9], ten: 17 };

describe("measured figures", () => {
  test("a pod runs as many tasks per second as the benchmark's worker with a backlog", () => {
    const rows = repository("tests/figures/README.md").matchAll(
      /^(?: *(\d+) ms +\+\d+ ms +)pipelined .* (\d+)\/(\d+) +(\d+\.\d+) +[\d.]+ ms/gm,
    );
    const cells = [...rows].map(
      ([, milliseconds, , , rate]) => [Number(milliseconds) / 1000, Number(rate)] as const,
    );
    const timed = cells.filter(([seconds]) => seconds >= 0.5);
    expect(timed.length).toBeGreaterThan(40);
    for (const [seconds, rate] of timed) {
      const model = 1 / demandOf(load(1, seconds), runtime()).service;
      // The page rounds to hundredths.
      expect(Math.abs(model - rate), `runs of ${seconds} s: ${model} beside ${rate}`).toBeLessThanOrEqual(
        rate * 0.01 + 0.006,
      );
    }
  });

  test("the simulated KEDA and HPA react in the time in which the real ones did", () => {
    const seen = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((seed) =>
      simulate({
        scaling: scaling(10),
        perHour: 0,
        runSeconds: 7,
        coldStartSeconds: 5,
        burst: 300,
        burstAt: 30,
        hours: 1,
        seed,
      }),
    );
    const firsts = seen.map(({ first }) => first).sort((a, b) => a - b);
    expect(firsts[0]).toBeLessThanOrEqual(REACTION.first[0] ?? 0);
    expect(firsts.at(-1)).toBeGreaterThanOrEqual(REACTION.first[1] ?? 0);
    expect(firsts.at(-1)).toBeLessThanOrEqual(RULES.pollSeconds);
    const tens = seen.map(({ first, most }) => most - first);
    expect(Math.max(...tens)).toBeLessThanOrEqual(REACTION.ten);
  });

  test("100 tasks of 20 s call 25 pods, as in the check of the rendered formula", () => {
    const formula = scaling().formula;
    expect([formula(100, 100, 0), formula(100, 25, 25), formula(5, 0, 5)]).toEqual([25, 25, 5]);
    expect(
      simulate({
        scaling: scaling(),
        perHour: 0,
        runSeconds: 20,
        coldStartSeconds: 180,
        burst: 100,
        hours: 1,
      }).peak,
    ).toBe(25);
  });
});

describe("constants", () => {
  test("of KEDA and the HPA are those that the chart renders", () => {
    const { pollingInterval, stabilization, down } = scaling();
    expect(pollingInterval).toBe(RULES.pollSeconds);
    expect(stabilization).toBe(RULES.stabilizationSeconds);
    expect(down).toEqual([
      { type: "Pods", value: 1, periodSeconds: RULES.downSeconds },
      { type: "Percent", value: RULES.downShare * 100, periodSeconds: RULES.downSeconds },
    ]);
    const { nodes } = parse(readFileSync(join(INFRA, "chart/values.yaml"), "utf8"));
    expect(nodes.consolidateAfter).toBe(`${EMPTY_NODE_SECONDS / 60}m`);
  });

  test("of the HPA's controller are those of the check of the rendered formula", () => {
    const check = repository("infra/checks/manifests/autoscaler.py");
    expect(check).toContain(`SYNC_SECONDS = ${RULES.syncSeconds}\nTOLERANCE = ${RULES.tolerance}\n`);
  });

  test("of the worker are those of its pipeline", () => {
    const pipeline = repository("worker/src/pipeline/mod.rs");
    expect(pipeline).toContain(`RECEIVE_AHEAD: Duration = Duration::from_secs(${RECEIVE_AHEAD.seconds})`);
    expect(repository("worker/src/pipeline/forecast.rs")).toContain(
      `const ERROR: f64 = ${RECEIVE_AHEAD.share};`,
    );
    expect(pipeline).toContain(`at most ${["", "one", "two", "three"][HELD]} tasks are inside`);
  });
});
