import {
  CreateVpcCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { CreateRepositoryCommand, ECRClient, PutImageCommand } from "@aws-sdk/client-ecr";
import { CreateClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";

import type { Config } from "../../lib/config/types.ts";
import { account } from "../../operate/preflight/account.ts";
import { cluster } from "../../operate/preflight/cluster.ts";
import type { Check } from "../../operate/preflight/finding.ts";
import { frontDoor } from "../../operate/preflight/front-door.ts";
import { functions } from "../../operate/preflight/functions.ts";
import { gpuQuotas } from "../../operate/preflight/gpu-quotas.ts";
import { imageCache } from "../../operate/preflight/image-cache.ts";
import { images } from "../../operate/preflight/images.ts";
import { instances } from "../../operate/preflight/instances.ts";
import { models } from "../../operate/preflight/models.ts";
import { network } from "../../operate/preflight/network.ts";
import { subscriptions } from "../../operate/preflight/subscriptions.ts";
import { look, preflight } from "../../operate/preflight.ts";
import { aws, s3 } from "../../operate/support/aws.ts";
import { withLimits } from "./support/account.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const limits = { quotas: {} as Record<string, number>, unreserved: 1000 };
withLimits(limits);
const terminal = withTerminal();
const region = { region: "us-west-2" };

/** `verdict: detail` of each finding. */
async function says(check: Check, config: Config): Promise<string[]> {
  return (await check(config)).map(({ verdict, detail }) => `${verdict}: ${detail}`);
}

describe("account", () => {
  test("the configuration's account is compared with the credentials'", async () => {
    expect(await says(account, configuration(`account: "${ACCOUNT}"`))).toEqual([
      `ok: the credentials belong to ${ACCOUNT}`,
      "ok: us-west-2 is enabled",
    ]);
    const [other] = await says(account, configuration('account: "999999999999"'));
    expect(other).toBe(
      `missing: the credentials belong to ${ACCOUNT}, the configuration is for 999999999999`,
    );
  });

  test("a region that has to be enabled first is named", async () => {
    const [, found] = await says(account, { ...configuration(), region: "me-central-1" });
    expect(found).toMatch(/^missing: me-central-1 is not enabled: `aws account enable-region/);
  });
});

describe("models", () => {
  const client = () => new S3Client(s3(region));

  test("a bucket that does not exist", async () => {
    expect(await says(models, configuration())).toEqual([
      "missing: the bucket models does not exist: `infra/darkroom upload-models FOLDER` makes it",
    ]);
  });

  test("a bucket elsewhere, and each model that a runtime serves", async () => {
    await new S3Client(s3({ region: "eu-west-1" })).send(
      new CreateBucketCommand({
        Bucket: "models",
        CreateBucketConfiguration: { LocationConstraint: "eu-west-1" },
      }),
    );
    await client().send(
      new PutObjectCommand({ Bucket: "models", Key: "Stable-diffusion/v1-5.safetensors", Body: "weights" }),
    );
    const config = configuration("", "    dynamicModel: true\n    models: [second.safetensors]");
    expect(await says(models, config)).toEqual([
      "missing: the bucket models is in eu-west-1: nodes in us-west-2 must not read across regions",
      "ok: Stable-diffusion/v1-5.safetensors (0.0 kB)",
      "missing: Stable-diffusion/second.safetensors is not in the bucket: `infra/darkroom upload-models FOLDER`",
    ]);
  });
});

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
      expect.stringMatching(/^warning: runtime sdruntime: g99\.xlarge not offered in any zone/),
    );
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
    expect((await says(frontDoor, configuration()))[0]).toMatch(/^ok: 150 concurrent executions/);
    limits.unreserved = 149;
    expect((await says(frontDoor, configuration()))[0]).toMatch(
      /^missing: .*set it to 49, or request .*L-B99A9384/,
    );
    limits.unreserved = 10;
    expect((await says(frontDoor, configuration("api: { concurrency: 0 }")))[0]).toMatch(/^ok: /);
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
        detail: expect.stringMatching(/^could not be checked: not allowed/),
      },
    ]);
  });
});

describe("an existing cluster", () => {
  const config = (more: Partial<Config["cluster"]>): Config => {
    const whole = configuration();
    return { ...whole, cluster: { ...whole.cluster, existing: "production", ...more } };
  };

  test("one that does not exist", async () => {
    expect(await says(cluster, config({}))).toEqual(["missing: production does not exist in us-west-2"]);
  });

  test("subnets and security groups that are not its own, and a mode without access entries", async () => {
    const ec2 = new EC2Client(aws(region));
    const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({}));
    const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
    const subnets = Subnets.slice(0, 2).map(({ SubnetId }) => SubnetId ?? "");
    await new EKSClient(aws(region)).send(
      new CreateClusterCommand({
        name: "production",
        version: "1.31",
        roleArn: `arn:aws:iam::${ACCOUNT}:role/cluster`,
        resourcesVpcConfig: { subnetIds: subnets },
      }),
    );
    const found = await says(
      cluster,
      config({
        vpc: Vpcs[0]?.VpcId,
        subnets: [subnets[0] ?? "", "subnet-00000000"],
        securityGroups: ["sg-00000000"],
      }),
    );
    expect(found).toContain("ok: production is active");
    expect(found).toContainEqual(
      expect.stringMatching(/^warning: production runs Kubernetes 1\.31; KEDA was tested on/),
    );
    // moto knows no access configuration, as EKS did before there was one: then the mode is CONFIG_MAP.
    expect(found).toContainEqual(
      expect.stringMatching(/^missing: its authentication mode is CONFIG_MAP: `aws eks/),
    );
    expect(found).toContain("missing: subnet-00000000 does not exist");
    expect(found).toContain("missing: sg-00000000 does not exist");
  });
});

describe("images", () => {
  test("each image of a pod is looked up by its tag", async () => {
    const ecr = new ECRClient(aws(region));
    await ecr.send(new CreateRepositoryCommand({ repositoryName: "darkroom/worker" }));
    const manifest = {
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      layers: [],
    };
    await ecr.send(
      new PutImageCommand({
        repositoryName: "darkroom/worker",
        imageManifest: JSON.stringify(manifest),
        imageTag: "0.1.0",
      }),
    );
    const registry = `${ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/darkroom`;
    expect(await says(images, configuration())).toEqual([
      `ok: ${registry}/worker:0.1.0 is there`,
      `missing: ${registry}/sdwebui:0.1.0 does not exist: \`infra/images/build\` builds and pushes images`,
    ]);
    expect((await says(images, configuration("images: { tag: 0.2.0 }")))[0]).toMatch(/^missing: /);
  });

  test("images of other registries are not looked for, and that is said", async () => {
    const found = await says(images, configuration("", "    image: ghcr.io/someone/webui:1"));
    expect(found[1]).toMatch(/^warning: ghcr\.io\/someone\/webui:1 is not in this account's registry/);
  });
});

describe("image cache", () => {
  test("a snapshot that does not exist", async () => {
    const config = configuration("imageCache: { mode: snapshot, snapshot: snap-0123456789abcdef0 }");
    expect(await says(imageCache, config)).toEqual([
      "missing: snap-0123456789abcdef0 does not exist in us-west-2: `infra/darkroom cache-images` makes one",
    ]);
  });

  test("soci wants instance stores, and says where it gains little", async () => {
    const of = (types: string) =>
      configuration("imageCache: { mode: soci }", `    instances: { types: [${types}] }`);
    expect(await says(imageCache, of("g5.4xlarge"))).toEqual([
      "ok: soci: every instance type has an instance store",
    ]);
    expect(await says(imageCache, of("g5.xlarge, g5g.xlarge"))).toEqual([
      "missing: soci unpacks onto the instance store, which g5g.xlarge lacks",
      expect.stringMatching(/^warning: soci gains little below 16 vCPUs: /),
    ]);
  });
});

describe("the whole", () => {
  test("what is missing is counted and named, whatever else is found", async () => {
    process.env["DARKROOM_FUNCTIONS"] = "/nowhere";
    expect(await says(functions, configuration())).toEqual([
      expect.stringMatching(
        /^missing: api-lambda\.zip and dead-letter\.zip not in \/nowhere: `infra\/build-functions`/,
      ),
    ]);
    limits.quotas = {};
    await expect(preflight(configuration())).rejects.toThrow(/missing: functions, images, models/);
    expect(terminal.text).toMatch(/^ok +account +the credentials belong to/m);
    expect(terminal.text).toMatch(/^warning +GPU quotas +could not be checked/m);
    expect(terminal.text).toMatch(/^missing +models +the bucket models does not exist/m);
  });

  test("subscriptions that wait for a confirmation are noted", async () => {
    const config = configuration(
      "subscriptions: { emails: [a@example.com], webhooks: ['https://example.com/x'] }",
    );
    expect(await says(subscriptions, config)).toEqual([
      "note: a@example.com: confirm by the link in the email, within 3 days",
      "note: https://example.com/x: must visit the SubscribeURL that SNS posts to it, within 3 days",
    ]);
  });
});
