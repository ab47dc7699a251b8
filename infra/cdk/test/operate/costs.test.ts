import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { App } from "aws-cdk-lib";
import { Template } from "aws-cdk-lib/assertions";
import { zipSync } from "fflate";
import { describe, expect, test } from "vitest";

import { parse } from "../../lib/config/load.ts";
import { ClusterStack } from "../../lib/cluster-stack.ts";
import type { Config } from "../../lib/config/types.ts";
import { ServiceStack } from "../../lib/service-stack.ts";
import { total } from "../../operate/costs/line.ts";
import { example, PAGE, withTables } from "../../operate/costs/page.ts";
import { LARGE, perMillion, SMALL, type Workload } from "../../operate/costs/per-million.ts";
import { perMonth } from "../../operate/costs/per-month.ts";
import { switches } from "../../operate/costs/switches.ts";
import { FUNCTION_ZIPS, INFRA } from "../../operate/support/paths.ts";
import { configuration } from "./support/configuration.ts";

const million = (config = example(), work: Workload = SMALL) => perMillion(config, config.runtimes[0]!, work);
const usd = (lines: { what: string; usd: number }[], what: string) =>
  lines.filter((line) => line.what.startsWith(what)).reduce((sum, { usd }) => sum + usd, 0);

describe("the page", () => {
  test("has the tables as the program reckons them: `infra/operate costs --page` writes them", () => {
    const page = readFileSync(PAGE, "utf8");
    expect(withTables(page)).toBe(page);
  });

  test("a figure that was changed by hand would be noticed", () => {
    const page = readFileSync(PAGE, "utf8");
    const forged = page.replace(/\*\*\$[\d,.]+\*\*/, "**$149.04**");
    expect(forged).not.toBe(page);
    expect(withTables(forged)).toBe(page);
  });

  test("figures in its text are those of the tables", () => {
    const page = readFileSync(PAGE, "utf8");
    const prose = (figure: number) => `$${figure.toLocaleString("en-US", { minimumFractionDigits: 2 })}`;
    for (const figure of [(20 / 60) * 0.53, 3 * 730 * 0.75, 260 * 0.53, 730 * 0.0816, 150 * 0.09]) {
      expect(page).toContain(prose(Math.round(figure * 100) / 100));
    }
  });
});

describe("a million images", () => {
  test("GPU hours are images times seconds; by hand", () => {
    expect(usd(million(), "GPU")).toBeCloseTo(((1e6 * 1.5) / 3600) * 0.53, 6);
    expect(usd(million(example(), LARGE), "GPU")).toBeCloseTo(((1e6 * 7) / 3600) * 0.53, 6);
  });

  test("EKS Auto Mode asks for a share of the On-Demand price, also of Spot instances", () => {
    const config = example();
    config.cluster.nodes = "auto";
    config.runtimes[0]!.replicas.min = 1;
    expect(usd(million(config), "EKS Auto Mode")).toBeCloseTo(((1e6 * 1.5) / 3600) * 0.12 * 1.006, 6);
    const month = 730 * 0.12 * (2 * 0.0816 + 1.006);
    expect(usd(perMonth(config), "EKS Auto Mode")).toBeCloseTo(month, 6);
    config.cluster.existing = "production";
    expect(usd(million(config), "EKS Auto Mode")).toBeCloseTo(((1e6 * 1.5) / 3600) * 0.12 * 1.006, 6);
    expect(usd(perMonth(config), "EKS Auto Mode")).toBeCloseTo(730 * 0.12 * 1.006, 6);
    expect(usd(million(), "EKS Auto Mode")).toBe(0);
  });

  test("of the predecessor's lines it is what the predecessor reckons", () => {
    const theirs = ["GPU", "API Gateway", "Lambda", "SNS", "SQS", "S3: image", "S3: stored"];
    expect(theirs.reduce((sum, what) => sum + usd(million(), what), 0)).toBeCloseTo(240, -0.5);
  });

  test("a task that takes longer than a third of the visibility timeout has its lease extended", () => {
    const at = (seconds: number) => usd(million(example(), { ...SMALL, seconds }), "SQS");
    expect(at(39)).toBeCloseTo(1.2);
    expect(at(41)).toBeCloseTo(1.6);
    expect(at(81)).toBeCloseTo(2.0);
  });

  test("messages are billed by 64 KB, until they go by claim check", () => {
    const sns = (requestKb: number) => usd(million(example(), { ...SMALL, requestKb }), "SNS");
    expect([sns(64), sns(65), sns(262), sns(263)]).toEqual([1, 1.5, 3, 1]);
    expect(usd(million(example(), { ...SMALL, requestKb: 263 }), "claim check")).toBeCloseTo(5.4);
    expect(usd(million(example(), { ...SMALL, requestKb: 262 }), "claim check")).toBe(0);
  });

  test("a task writes its record six times, and progress of a long run; workers read it meanwhile", () => {
    const written = (config = example(), seconds = 1.5) =>
      usd(million(config, { ...SMALL, seconds }), "DynamoDB: written") / 0.625;
    const config = example();
    expect([written(), written(config, 7), written(config, 20)].map(Math.round)).toEqual([6, 7, 9]);
    config.records.maxUnfinishedTasks = 5;
    expect(written(config)).toBeCloseTo(8);
    expect(usd(million(), "DynamoDB: read")).toBe(0);
    expect(usd(million(example(), LARGE), "DynamoDB: read")).toBeCloseTo(1.5 * 0.125);

    config.records.days = 90;
    expect(usd(million(config), "DynamoDB: stored")).toBeCloseTo(3 * usd(million(), "DynamoDB: stored"));
    config.records.enabled = false;
    expect(usd(million(config), "DynamoDB")).toBe(0);
  });

  test("metrics are billed for the hours in which a runtime works, at most all of a month", () => {
    expect(usd(million(), "metrics")).toBeCloseTo((25 * 0.3 * ((1e6 * 1.5) / 3600)) / 730, 6);
    expect(usd(million(example(), LARGE), "metrics")).toBeCloseTo(25 * 0.3, 6);
    const config = example();
    config.metrics.enabled = false;
    expect(usd(million(config), "metrics")).toBe(0);
  });

  test("a type without a price says so instead of costing something else", () => {
    const config = configuration("", "    instances: { types: [g7e.2xlarge] }");
    expect(million(config)[0]).toMatchObject({ what: expect.stringContaining("without a price"), usd: 0 });
  });
});

describe("an idle month", () => {
  test("its fixed lines, by hand", () => {
    const month = perMonth(example());
    expect(usd(month, "EKS")).toBeCloseTo(73);
    expect(usd(month, "system nodes")).toBeCloseTo(2 * 730 * 0.0816);
    expect(usd(month, "NAT")).toBeCloseTo(730 * 0.045);
    expect(usd(month, "their volumes")).toBeCloseTo(88 * 0.08);
  });

  test("an existing cluster is somebody else's bill, and pods that always run are ours", () => {
    const config = example();
    config.cluster.existing = "shared";
    expect(usd(perMonth(config), "EKS") + usd(perMonth(config), "NAT")).toBe(0);
    config.runtimes[0]!.replicas.min = 2;
    expect(usd(perMonth(config), "sdruntime: g5.xlarge")).toBeCloseTo(2 * 730 * 0.53);
  });

  test("as many alarms and dashboards as the stacks have", () => {
    const functions = mkdtempSync(join(tmpdir(), "darkroom-functions-"));
    for (const zip of FUNCTION_ZIPS)
      writeFileSync(join(functions, zip), zipSync({ bootstrap: new Uint8Array([1]) }));
    const config = parse(readFileSync(join(INFRA, "examples/full.yaml"), "utf8"));
    const metricsOfAlarms = (config: Config) => {
      const app = new App();
      const env = { account: config.account, region: config.region };
      const service = new ServiceStack(app, "service", { env, config, functions });
      const cluster = new ClusterStack(app, "cluster", { env, config, service: service.handover });
      Template.fromStack(service).resourceCountIs("AWS::CloudWatch::Dashboard", 1);
      const alarms = [service, cluster].flatMap((stack) =>
        Object.values(Template.fromStack(stack).findResources("AWS::CloudWatch::Alarm")),
      );
      return alarms
        .map(({ Properties: { Metrics } }) => Metrics?.filter((m: object) => "MetricStat" in m).length ?? 1)
        .reduce((sum, count) => sum + count, 0);
    };
    expect(usd(perMonth(config), "alarms")).toBeCloseTo(0.1 * metricsOfAlarms(config));
    config.metrics.enabled = false;
    expect(usd(perMonth(config), "alarms")).toBeCloseTo(0.1 * metricsOfAlarms(config));
    rmSync(functions, { recursive: true });
  });

  test("there are never more NAT gateways than zones", () => {
    const config = example();
    [config.cluster.zones, config.cluster.natGateways] = [2, 4];
    expect(usd(perMonth(config), "NAT")).toBeCloseTo(2 * 730 * 0.045);
  });
});

describe("switches", () => {
  test("each is the difference of two bills, and leaves the configuration as it was", () => {
    const config = example();
    const before = structuredClone(config);
    const rows = switches(config);
    expect(config).toEqual(before);
    const row = (name: string) => rows.find(([cell]) => cell?.includes(name));
    expect(row("natGateways: 3")?.slice(1, 3)).toEqual(["+$73.00", "–"]);
    const onDemand = example();
    onDemand.runtimes[0]!.instances.purchase = "on-demand";
    const more = total(million(onDemand)) - total(million());
    expect(row("on-demand")?.slice(1, 3)).toEqual(["–", `+$${more.toFixed(2)}`]);
    expect(rows.every(([, month, million]) => month !== "–" || million !== "–")).toBe(true);
  });
});
