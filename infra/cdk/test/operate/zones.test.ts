// The zones of a new cluster: which are chosen, what preflight says of them, and that the CDK app gets them.

import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { DescribeAvailabilityZonesCommand, EC2Client } from "@aws-sdk/client-ec2";
import { describe, expect, test, vi } from "vitest";

import { load } from "../../lib/config/load.ts";
import { judged, zones } from "../../operate/preflight/zones.ts";
import { aws } from "../../operate/support/aws.ts";
import { cdkFor } from "../../operate/support/cdk.ts";
import { choose, zonesFor } from "../../operate/support/zones.ts";
import { FUNCTIONS } from "../support/service.ts";
import { configuration } from "./support/configuration.ts";
import { makeStack } from "./support/deployment.ts";
import { withMoto } from "./support/moto.ts";
import { says } from "./support/says.ts";

withMoto();

describe("zones", () => {
  const inRegion = (region: string, more = "") => ({ ...configuration(more), region });

  test("EKS does not get the zones that it refuses, and keeps those that it was made in", async () => {
    const us = inRegion("us-east-1", "cluster: { zones: 4 }");
    const { AvailabilityZones = [] } = await new EC2Client(aws(us)).send(
      new DescribeAvailabilityZonesCommand({}),
    );
    const refused = AvailabilityZones.find(({ ZoneId }) => ZoneId === "use1-az3")?.ZoneName;
    const [found = ""] = await says(zones, us);
    expect(found).toMatch(/^ok: (us-east-1[a-f](, )?){4}$/);
    expect(refused).toBeTruthy();
    expect(found).not.toContain(refused);
    await makeStack("darkroom-cluster", { Zones: "us-west-2c,us-west-2d" });
    expect(await zonesFor(configuration())).toEqual(["us-west-2c", "us-west-2d"]);
  });

  test("each zone that EKS refuses is left out, whatever the account calls it", () => {
    const zone = (ZoneName: string, ZoneId: string, ZoneType = "availability-zone") => ({
      ZoneName,
      ZoneId,
      ZoneType,
      State: "available" as const,
    });
    const inVirginia = [
      zone("us-east-1a", "use1-az3"),
      zone("us-east-1b", "use1-az1"),
      zone("us-east-1c", "use1-az2"),
    ];
    expect(choose(inVirginia, 3)).toEqual(["us-east-1b", "us-east-1c"]);
    const inCalifornia = [zone("us-west-1b", "usw1-az2"), zone("us-west-1c", "usw1-az1")];
    expect(choose(inCalifornia, 3)).toEqual(["us-west-1c"]);
    const inCanada = [
      zone("ca-central-1a", "cac1-az1"),
      zone("ca-central-1b", "cac1-az2"),
      zone("ca-central-1d", "cac1-az3"),
    ];
    expect(choose(inCanada, 3)).toEqual(["ca-central-1a", "ca-central-1b"]);
    expect(choose([zone("us-west-2-lax-1a", "usw2-lax1-az1", "local-zone")], 3)).toEqual([]);
  });

  test("too few zones are missing, fewer than wanted a warning", async () => {
    expect(await says(zones, inRegion("us-west-2", "cluster: { zones: 4 }"))).toEqual([
      "ok: us-west-2a, us-west-2b, us-west-2c, us-west-2d",
    ]);
    expect(await says(zones, inRegion("us-west-1"))).toEqual([
      expect.stringMatching(
        /^warning: EKS accepts us-west-1., us-west-1. in us-west-1: 2 zones instead of 3$/,
      ),
    ]);
    expect(judged(inRegion("us-west-1"), ["us-west-1c"]).verdict).toBe("missing");
  });
});

test("the zones are handed over to the CDK app", async () => {
  const out = mkdtempSync(join(tmpdir(), "zones-"));
  const file = join(out, "config.yaml");
  writeFileSync(
    file,
    "region: us-east-1\nmodelBucket: models\ncluster: { zones: 4 }\nruntimes: [{ name: a, type: comfyui }]\n",
  );
  const config = load(file);
  vi.stubEnv("DARKROOM_FUNCTIONS", FUNCTIONS);
  await cdkFor(file, config)("synth", "darkroom-cluster", "--quiet", "--output", out);
  vi.unstubAllEnvs();
  const { Outputs } = JSON.parse(readFileSync(join(out, "darkroom-cluster.template.json"), "utf8"));
  expect(Outputs.Zones.Value.split(",")).toEqual(await zonesFor(config));
  expect(Outputs.Zones.Value).toMatch(/^us-east-1/);
});
