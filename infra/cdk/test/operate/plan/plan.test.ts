// What `plan` prints: the page's examples, the bill, the quotas, and the command as it is typed.

import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import type { Config } from "../../../lib/config/types.ts";
import { total } from "../../../operate/costs/line.ts";
import { perMonth } from "../../../operate/costs/per-month.ts";
import { command } from "../../../operate/plan.ts";
import { billOf } from "../../../operate/plan/bill.ts";
import { fleetOf } from "../../../operate/plan/fleet.ts";
import { PAGE, withExamples } from "../../../operate/plan/page.ts";
import { exceeded, usesOf } from "../../../operate/plan/quotas.ts";
import { sections } from "../../../operate/plan/report.ts";
import { erlangC } from "../../../operate/plan/waiting.ts";
import type { Workload } from "../../../operate/plan/workload.ts";
import { configuration } from "../support/configuration.ts";
import { load } from "./support.ts";

const MILLION = load(1e6, 1.5);

function uses(config: Config, work: Workload) {
  const runtime = config.runtimes[0]!;
  return usesOf(config, runtime, work, fleetOf(runtime, work));
}

const over = (config: Config, work: Workload) =>
  uses(config, work)
    .filter(exceeded)
    .map(({ what }) => what);

const text = (config: Config, work: Workload, name: string) =>
  sections(config, config.runtimes[0]!, work).find(({ title }) => title === name)?.text ?? "";

describe("the page", () => {
  test("has the examples as the program computes them: `infra/operate plan --page` writes them", () => {
    const page = readFileSync(PAGE, "utf8");
    expect(withExamples(page)).toBe(page);
  });

  test("names each option", () => {
    const page = readFileSync(PAGE, "utf8");
    for (const option of Object.keys(command.options ?? {})) expect(page).toContain(`--${option}`);
  });

  test("figures in its text are those of the model", () => {
    const page = readFileSync(PAGE, "utf8");
    const runtime = configuration().runtimes[0]!;
    const cycle = fleetOf(runtime, load(60, 1.5)).cycle;
    expect(page).toContain("one task in eight");
    expect(1 / cycle.coldShare).toBeCloseTo(8, 0);
    expect(fleetOf(runtime, load(1e6, 7)).least).toBe(1946);
    expect(page).toContain("1,945");
  });
});

describe("the load", () => {
  test("Erlang's C formula, with published values", () => {
    // One server: its utilisation. Two servers and one Erlang: 1/3 (Kleinrock, Queueing Systems I).
    expect(erlangC(1, 0.7)).toBeCloseTo(0.7);
    expect(erlangC(2, 1)).toBeCloseTo(1 / 3);
    expect(erlangC(3, 2)).toBeCloseTo(4 / 9);
  });

  test("more than the pods can do is said, with how fast the queue grows", () => {
    const config = configuration("", "    replicas: { max: 2 }");
    expect(text(config, load(3_600, 7), "Load and pods")).toContain("`replicas.max` must be 8 at least");
    expect(text(config, load(3_600, 7), "Waiting time")).toMatch(
      /grows by 3,600 − 1,028\.28 = 2,571\.72 tasks/,
    );
    expect(text(config, load(3_600, 7, 100), "A burst")).toContain("**never**");
  });

  test("jobs side by side in one pod count as pods of their own", () => {
    const comfyui = configuration();
    Object.assign(comfyui.runtimes[0]!, { type: "comfyui", concurrency: 2 });
    expect(fleetOf(comfyui.runtimes[0]!, load(3_600, 7)).least).toBe(4);
  });
});

describe("the bill", () => {
  test("has hours of pods, the rest per task, and what runs anyway", () => {
    const config = configuration();
    const runtime = config.runtimes[0]!;
    const [work, fleet] = [load(600, 7), fleetOf(runtime, load(600, 7))];
    const { lines, images } = billOf(config, runtime, work, fleet);
    expect(images).toBeCloseTo(600 * 730);
    expect(lines[0]?.usd).toBeCloseTo(fleet.pods * 730 * 0.263);
    expect(lines.at(-1)?.usd).toBeCloseTo(total(perMonth(config)), 2);
  });

  test("a runtime that scales to zero pays for the time with nodes, and one that does not for all", () => {
    const gpu = (min: number) => {
      const config = configuration("", `    replicas: { min: ${min} }`);
      const runtime = config.runtimes[0]!;
      return billOf(config, runtime, load(1, 30), fleetOf(runtime, load(1, 30))).lines;
    };
    // About 16 minutes of pod and node lifetime for each hour's task.
    expect(gpu(0)[0]?.usd).toBeGreaterThan(0.2 * 730 * 0.263);
    expect(gpu(0)[0]?.usd).toBeLessThan(0.35 * 730 * 0.263);
    expect(gpu(1)[0]?.usd).toBeCloseTo(730 * 0.263);
    // The pod that always runs is in the bill once.
    expect(gpu(1).at(-1)?.usd).toBe(gpu(0).at(-1)?.usd);
  });

  test("several images of a task cost a PUT each, and less per image", () => {
    const config = configuration();
    const runtime = config.runtimes[0]!;
    const bill = (imagesPerTask: number) => {
      const work = { ...load(600, 7), imagesPerTask };
      return billOf(config, runtime, work, fleetOf(runtime, work));
    };
    expect(bill(4).images).toBeCloseTo(4 * bill(1).images);
    expect(bill(4).lines.find(({ what }) => what === "S3: further images")?.usd).toBeCloseTo(0.438 * 3 * 5);
  });
});

describe("quotas at a million tasks per hour", () => {
  test("with the least configuration, in us-west-2", () => {
    expect(over(configuration(), MILLION)).toEqual([
      "this deployment: requests per second",
      "EC2: vCPUs of G instances, Spot",
      "EC2: vCPUs of G instances, On-Demand",
      "EBS: gp3 volumes, in TiB",
    ]);
  });

  test("in a region where SNS takes 300 messages per second", () => {
    const config = configuration();
    config.region = "eu-west-2";
    expect(over(config, MILLION)).toContain("SNS: messages published per second");
    config.region = "us-east-2";
    expect(over(config, MILLION)).not.toContain("SNS: messages published per second");
  });

  test("with an email subscriber, a daily quota and a burst", () => {
    const config = configuration(
      "subscriptions: { emails: [somebody@example.com] }\napi: { requestsPerDay: 1000000 }",
    );
    expect(over(config, { ...MILLION, burst: 6_000 })).toEqual(
      expect.arrayContaining([
        "SNS: emails per second to a subscriber",
        "this deployment: requests per day",
        "this deployment: requests at once",
        "API Gateway: requests at once",
      ]),
    );
  });

  test("a smaller gateway quota, and one API key's share of an index, at higher rates", () => {
    const config = configuration();
    config.region = "eu-south-1";
    const rate = over(config, load(3600 * 2_600, 0.1));
    expect(rate).toContain("API Gateway: requests per second");
    expect(rate).toContain("DynamoDB: writes per second of one key (index `by_owner`)");
    config.records.enabled = false;
    expect(over(config, load(3600 * 2_600, 0.1)).filter((what) => what.startsWith("DynamoDB"))).toEqual([]);
  });

  test("each has its arithmetic and a source, and those without one say so", () => {
    for (const { arithmetic, quota, remedy } of uses(configuration(), MILLION)) {
      expect(arithmetic).toMatch(/\d/);
      expect(remedy.length).toBeGreaterThan(5);
      expect(quota.source.length).toBeGreaterThan(5);
    }
    const unverified = uses(configuration(), MILLION).filter(({ quota }) =>
      quota.source.includes("not verified"),
    );
    expect(unverified.map(({ what }) => what)).toEqual(["CloudWatch Logs: PutLogEvents per second"]);
  });

  test("of a family P they are those of P", () => {
    const config = configuration("", "    instances: { types: [p5.48xlarge], purchase: on-demand }");
    const [cpus] = uses(config, MILLION).filter(({ what }) => what.startsWith("EC2"));
    expect(cpus).toMatchObject({ what: "EC2: vCPUs of P instances, On-Demand" });
    expect(cpus?.arithmetic).toContain("× 192 vCPUs");
  });
});
