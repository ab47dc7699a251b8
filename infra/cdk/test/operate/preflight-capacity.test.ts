// Preflight: whether the account has room for the nodes, the network and the functions.

import { CreateVpcCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { describe, expect, test } from "vitest";

import { submitApi } from "../../operate/preflight/submit-api.ts";
import { gpuQuotas } from "../../operate/preflight/gpu-quotas.ts";
import { instances } from "../../operate/preflight/instances.ts";
import { network } from "../../operate/preflight/network.ts";
import { subscriptions } from "../../operate/preflight/subscriptions.ts";
import { look } from "../../operate/preflight.ts";
import { aws } from "../../operate/support/aws.ts";
import { withLimits } from "./support/account.ts";
import { configuration } from "./support/configuration.ts";
import { says } from "./support/says.ts";
import { withMoto } from "./support/moto.ts";

withMoto();
const limits = { quotas: {} as Record<string, number>, unreserved: 1000 };
withLimits(limits);
const region = { region: "us-west-2" };

describe("instances", () => {
  const of = (types: string) => configuration("", `    instances: { types: [${types}] }`);

  test("types are listed with the zones that offer them", async () => {
    const [found] = await says(instances, of("g4dn.xlarge, g5.xlarge"));
    expect(found).toMatch(/^ok: runtime sdruntime: g4dn\.xlarge in [a-d ]+, g5\.xlarge in [a-d ]+$/);
  });

  test("types that do not exist, have no NVIDIA GPU, or are no x86_64", async () => {
    const found = await says(instances, of("g99.xlarge, m5.large, g6f.xlarge, g5g.xlarge"));
    expect(found).toContain("missing: EC2 knows no instance type g99.xlarge in this region");
    expect(found).toContain("missing: m5.large has no whole NVIDIA GPU");
    expect(found).toContain("missing: g6f.xlarge has no whole NVIDIA GPU");
    expect(found).toContain("missing: g5g.xlarge is not x86_64");
    expect(found).toContainEqual(
      expect.stringMatching(
        /^warning: runtime sdruntime: g99\.xlarge not offered in the cluster's zones \(us-west-2a, us-west-2b, us-west-2c\)/,
      ),
    );
  });

  test("EKS Auto Mode launches some families only", async () => {
    const config = of("g5.xlarge, p3.2xlarge");
    config.cluster.nodes = "auto";
    expect(await says(instances, config)).toContain("missing: EKS Auto Mode launches no p3.2xlarge");
    expect(await says(instances, of("p3.2xlarge"))).not.toContainEqual(expect.stringContaining("Auto Mode"));
  });

  test("pods that share a node need scratch space for each of them", async () => {
    const shared = (volumeGiB: number, mode: string) =>
      says(
        instances,
        configuration(
          `imageCache: { mode: ${mode} }`,
          `    instances: { types: [g5.xlarge, g5.12xlarge], volumeGiB: ${volumeGiB} }`,
        ),
      );
    expect((await shared(100, "none"))[1]).toMatch(
      /^warning: runtime sdruntime: up to 4 pods share a node, whose volume should have 140 GiB/,
    );
    expect((await shared(140, "none"))[1]).toBe("ok: runtime sdruntime: up to 4 pods share a node");
    expect(await shared(100, "auto")).toHaveLength(1);
  });

  test("with an existing cluster only its subnets' zones count", async () => {
    const { Subnets = [] } = await new EC2Client(aws(region)).send(new DescribeSubnetsCommand({}));
    const config = of("g5.xlarge");
    config.cluster.subnets = [Subnets[0]?.SubnetId ?? ""];
    const [found] = await says(instances, config);
    const zone = Subnets[0]?.AvailabilityZone?.at(-1);
    expect(found).toBe(`ok: runtime sdruntime: g5.xlarge in ${zone}`);
  });
});

describe("GPU quotas", () => {
  const check = (spot: number, onDemand: number, purchase = "spot-first", type = "g5.xlarge, g5.2xlarge") => {
    limits.quotas = { "L-3819A6DF": spot, "L-DB2E81BA": onDemand };
    return says(gpuQuotas, configuration("", `    instances: { types: [${type}], purchase: ${purchase} }`));
  };

  test("ten pods take forty vCPUs on the smallest type", async () => {
    expect(await check(40, 40)).toEqual([
      "ok: All G and VT Spot Instance Requests: 40 vCPUs; all pods of sdruntime take 40",
      "ok: Running On-Demand G and VT instances: 40 vCPUs; all pods of sdruntime take 40",
    ]);
  });

  test("enough for one node only is a warning that says how to ask for more", async () => {
    const [found] = await check(4, 40);
    expect(found).toMatch(
      /^warning: .*: 4 vCPUs; all pods of sdruntime take 40, so fewer will run at once\. More: /,
    );
    expect(found).toContain("--quota-code L-3819A6DF --desired-value 40");
  });

  test("nothing on either market is missing; on one of them it is a warning for who may use both", async () => {
    expect((await check(0, 0))[0]).toMatch(/^missing: runtime sdruntime: one node takes 4 vCPUs/);
    expect((await check(0, 40))[0]).toMatch(/^warning: .*every node will be On-Demand$/);
    expect((await check(40, 0))[0]).toMatch(/^warning: .*every node will be Spot$/);
    expect((await check(0, 40, "spot"))[0]).toMatch(/^missing: /);
    expect((await check(0, 40, "on-demand"))[0]).toMatch(/^ok: Running On-Demand/);
  });

  test("gr6 counts as G, and P has quotas of its own", async () => {
    expect((await check(8, 0, "spot", "gr6.4xlarge"))[0]).toMatch(
      /^missing: .* takes 16 vCPUs, but All G and VT Spot/,
    );
    limits.quotas = { "L-417A185B": 0 };
    const config = configuration("", "    instances: { types: [p4d.24xlarge], purchase: on-demand }");
    expect((await says(gpuQuotas, config))[0]).toMatch(/^missing: .*Running On-Demand P instances is 0$/);
  });

  test("several GPUs in a node hold several pods", async () => {
    const [found] = await check(144, 0, "spot", "g5.12xlarge");
    expect(found).toContain("all pods of sdruntime take 144");
  });
});

describe("front door", () => {
  test("Lambda keeps a hundred executions unreserved", async () => {
    limits.unreserved = 150;
    expect((await says(submitApi, configuration()))[0]).toMatch(/^ok: 150 concurrent executions/);
    limits.unreserved = 149;
    expect((await says(submitApi, configuration()))[0]).toMatch(
      /^missing: .*set it to 49, or request .*L-B99A9384/,
    );
    limits.unreserved = 10;
    expect((await says(submitApi, configuration("api: { concurrency: 0 }")))[0]).toMatch(/^ok: /);
  });
});

describe("network", () => {
  const enough = { "L-F678F1CE": 5, "L-0263D0A3": 5, "L-FE5A380F": 5, "L-1216C47A": 32 };

  test("a VPC, addresses and NAT gateways of a new cluster fit, and its system nodes", async () => {
    limits.quotas = { ...enough };
    expect(await says(network, configuration("cluster: { natGateways: 3 }"))).toEqual([
      "ok: VPCs per Region: 1 of 5 used, 1 wanted",
      "ok: EC2-VPC Elastic IPs: 0 of 5 used, 3 wanted",
      "ok: NAT gateways per Availability Zone: 0 of 5 used, 1 wanted",
      expect.stringMatching(/^ok: Running On-Demand Standard .*: 32 vCPUs, 2 × m7g\.large take 4$/),
    ]);
    limits.quotas = { ...enough, "L-1216C47A": 5 };
    expect((await says(network, configuration())).slice(3)).toEqual([
      expect.stringMatching(/^ok: Running On-Demand Standard .*: 5 vCPUs, 2 × m7g\.large take 4$/),
      expect.stringMatching(
        /^note: .* `infra\/operate cache-images` 4 more while it runs\. .*--desired-value 8/,
      ),
    ]);
  });

  test("what is used up is missing", async () => {
    limits.quotas = { ...enough, "L-F678F1CE": 2, "L-0263D0A3": 0 };
    await new EC2Client(aws(region)).send(new CreateVpcCommand({ CidrBlock: "10.0.0.0/16" }));
    const found = await says(network, configuration());
    expect(found[0]).toMatch(/^missing: VPCs per Region: 2 of 2 used, 1 wanted\. .*--desired-value 3/);
    expect(found[1]).toMatch(/^missing: EC2-VPC Elastic IPs: 0 of 0 used, 1 wanted/);
  });

  test("who may not see quotas is warned, and the other checks go on", async () => {
    limits.quotas = {};
    const found = await look(configuration(), { network, subscriptions });
    expect(found).toEqual([
      {
        about: "network",
        verdict: "warning",
        detail: expect.stringMatching(/^could not be checked: (\w+: )?not allowed/),
      },
    ]);
  });
});
