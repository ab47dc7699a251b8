// The model of `plan` beside the simulation of the chart's scaling: pods and waiting times over a grid of loads.
//
// Tolerances. Waits: 20 % or 1 s. The simulated p95 of half a million tasks or 72 hours varies by up to 4 % with the seed; the rest is the model's, which takes the
// number of busy pods for independent of the tasks that busy workers hold. Pods: 15 % or one pod, the step in which the HPA removes
// them. A time for a burst: 15 %, of which half an interval of KEDA or the HPA is the largest part.

import { describe, expect, test } from "vitest";

import { burstOf } from "../../../operate/plan/burst.ts";
import { fleetOf, waitsOf } from "../../../operate/plan/fleet.ts";
import { quantileOf, waitsWith } from "../../../operate/plan/waiting.ts";
import { demandOf } from "../../../operate/plan/workload.ts";
import { quantile, simulate } from "./simulation.ts";
import { COLD, fixed, load, runtime, scaling } from "./support.ts";

const near = (actual: number, expected: number, share: number, least: number) =>
  Math.abs(actual - expected) <= Math.max(expected * share, least);

describe("waits with a steady number of pods", () => {
  test.each([
    [24_000, 1.5, 12],
    [24_000, 1.5, 14],
    [24_000, 1.5, 17],
    [24_000, 1.5, 22],
    [10_000, 7, 21],
    [10_000, 7, 24],
    [10_000, 7, 32],
    [600, 7, 2],
    [600, 30, 6],
    [600, 30, 7],
    [600, 30, 8],
    [1_200, 60, 22],
    [1_200, 60, 24],
    [1_200, 60, 26],
  ])("%i per hour of %d s with %i pods", (perHour, runSeconds, pods) => {
    const seen = simulate({
      scaling: fixed(pods),
      perHour,
      runSeconds,
      coldStartSeconds: 0,
      hours: 1 + Math.min(72, 500_000 / perHour),
      from: 1,
    });
    const waits = waitsWith(pods, demandOf(load(perHour, runSeconds), runtime()));
    for (const share of [0.5, 0.95]) {
      const [model, simulated] = [quantileOf(waits, share), quantile(seen.waits, share)];
      expect(near(model, simulated, 0.2, 1), `p${share * 100}: ${model} beside ${simulated}`).toBe(true);
    }
  });

  test("with too few pods the wait has no bound, neither here nor there", () => {
    const seen = simulate({
      scaling: fixed(2),
      perHour: 1_200,
      runSeconds: 7,
      coldStartSeconds: 0,
      hours: 20,
    });
    expect(quantileOf(waitsWith(2, demandOf(load(1_200, 7), runtime())), 0.5)).toBe(Number.POSITIVE_INFINITY);
    expect(quantile(seen.waits, 0.95)).toBeGreaterThan(3600);
  });

  test("what the model leaves out: runs of different lengths wait longer than it says", () => {
    const seen = simulate({
      scaling: fixed(24),
      perHour: 1_200,
      runSeconds: 60,
      variation: 0.5,
      coldStartSeconds: 0,
      hours: 72,
    });
    const model = quantileOf(waitsWith(24, demandOf(load(1_200, 60), runtime())), 0.95);
    expect(quantile(seen.waits, 0.95) / model).toBeGreaterThan(2);
  });
});

describe("pods and waits as KEDA and the HPA scale", () => {
  test.each([
    [120, 1.5, 300],
    [120, 7, 300],
    [600, 1.5, 72],
    [600, 7, 72],
    [2_400, 1.5, 48],
    [2_400, 7, 48],
    [24_000, 1.5, 24],
    [10_000, 7, 24],
    [600, 30, 96],
    [1_200, 60, 96],
    [100_000, 1.5, 16],
  ])("%i per hour of %d s", (perHour, runSeconds, hours) => {
    const from = Math.min(hours / 2, 12);
    const work = load(perHour, runSeconds);
    const seen = simulate({ scaling: scaling(), perHour, runSeconds, coldStartSeconds: COLD, hours, from });
    const fleet = fleetOf(runtime(), work);
    expect(
      near(fleet.pods * fleet.cycle.upShare, seen.pods, 0.15, 1),
      `${fleet.pods} pods beside ${seen.pods}`,
    ).toBe(true);
    // Near saturation one pod more or less changes a wait several times: `plan` prints those, too.
    const within = (share: number) => {
      const [fewer, more] = [-1, 1].map((n) =>
        quantileOf(waitsOf(fleet, Math.max(fleet.pods + (n ?? 0), 1), work), share),
      );
      const simulated = quantile(seen.waits, share);
      const bounds = [
        Math.min((more ?? 0) * 0.8, (more ?? 0) - 1),
        Math.max((fewer ?? 0) * 1.2, (fewer ?? 0) + 1),
      ];
      expect(
        simulated >= (bounds[0] ?? 0) && simulated <= (bounds[1] ?? 0),
        `${simulated} in ${bounds}`,
      ).toBe(true);
    };
    within(0.5);
    within(0.95);
  });

  test.each([
    [24_000, 1.5],
    [2_400, 7],
    [1_200, 60],
  ])("the most pods after a start from zero, %i per hour of %d s", (perHour, runSeconds) => {
    const peaks = [1, 2, 3, 4, 5].map(
      (seed) =>
        simulate({ scaling: scaling(), perHour, runSeconds, coldStartSeconds: COLD, hours: 0.2, seed }).peak,
    );
    const mean = peaks.reduce((sum, peak) => sum + peak) / peaks.length;
    const { start, least } = fleetOf(runtime(), load(perHour, runSeconds));
    expect(near(Math.max(start, least), mean, 0.15, 1), `${start} beside ${peaks}`).toBe(true);
  });
});

describe("scale to zero", () => {
  test.each([
    [1, 30, 4_000],
    [3, 7, 4_000],
    [10, 7, 2_000],
    [30, 1.5, 1_000],
    [60, 1.5, 1_000],
  ])("%i per hour of %d s", (perHour, runSeconds, hours) => {
    const work = load(perHour, runSeconds);
    const seen = simulate({
      scaling: scaling(),
      perHour,
      runSeconds,
      coldStartSeconds: COLD,
      hours,
      from: 2,
    });
    const fleet = fleetOf(runtime(), work);
    expect(near(fleet.cycle.upShare, seen.up, 0.05, 0), `${fleet.cycle.upShare} beside ${seen.up}`).toBe(
      true,
    );
    const waits = waitsOf(fleet, fleet.pods, work);
    for (const share of [0.5, 0.95]) {
      const [model, simulated] = [quantileOf(waits, share), quantile(seen.waits, share)];
      expect(near(model, simulated, 0.15, 1), `p${share * 100}: ${model} beside ${simulated}`).toBe(true);
    }
  });

  test("with a pod that always runs no task waits for a cold start", () => {
    expect(fleetOf(runtime(10, 1), load(1, 30)).cycle.coldShare).toBe(0);
    const seen = simulate({
      scaling: scaling(10, 1),
      perHour: 1,
      runSeconds: 30,
      coldStartSeconds: COLD,
      hours: 1_000,
    });
    expect(quantile(seen.waits, 0.95)).toBeLessThan(1);
  });
});

describe("a burst", () => {
  test.each([
    [0, 1.5, 300, 400],
    [0, 20, 100, 400],
    [0, 7, 1_000, 10],
    [0, 7, 5_000, 400],
    [2_400, 7, 500, 400],
    [600, 30, 300, 400],
    [24_000, 1.5, 2_000, 400],
  ])("on %i per hour of %d s: %i at once, up to %i pods", (perHour, runSeconds, burst, max) => {
    const at = perHour === 0 ? 0 : 12;
    const times = [1, 2, 3, 4, 5].map(
      (seed) =>
        simulate({
          scaling: scaling(max),
          perHour,
          runSeconds,
          coldStartSeconds: COLD,
          burst,
          burstAt: at * 3600,
          hours: at + 3,
          from: at,
          seed,
        }).cleared,
    );
    const median = times.sort((a, b) => a - b)[2] ?? 0;
    const [work, scaled] = [load(perHour, runSeconds, burst), runtime(max)];
    const { pods, demand } = fleetOf(scaled, work);
    const { cleared } = burstOf(pods, demand, work, scaled);
    expect(near(cleared, median, 0.15, runSeconds), `${cleared} beside ${times}`).toBe(true);
  });
});
