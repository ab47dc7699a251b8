// Preflight: versions and access of the cluster, and what an existing one has to let in.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  CreateVpcEndpointCommand,
  DescribeSubnetsCommand,
  DescribeVpcsCommand,
  EC2Client,
} from "@aws-sdk/client-ec2";
import { CreateClusterCommand, DescribeClusterCommand, EKSClient } from "@aws-sdk/client-eks";
import { describe, expect, test, vi } from "vitest";

import type { Config } from "../../lib/config/types.ts";
import { cluster, kedaFinding } from "../../operate/preflight/cluster.ts";
import { endpoints } from "../../operate/preflight/endpoints.ts";
import { versions } from "../../operate/preflight/versions.ts";
import { aws } from "../../operate/support/aws.ts";
import { type Limits, withLimits } from "./support/account.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { withMoto } from "./support/moto.ts";
import { says } from "./support/says.ts";

withMoto();
const limits: Limits = { quotas: {}, unreserved: 1000 };
withLimits(limits);
const region = { region: "us-west-2" };

describe("versions", () => {
  const parameter = "/aws/service/bottlerocket/aws-k8s-1.35-nvidia/x86_64/1.66.0/image_id";

  test("the system of the nodes and the VPC CNI exist in the region", async () => {
    limits.parameters = [parameter];
    limits.vpcCni = ["v1.23.0-eksbuild.1", "v1.22.4-eksbuild.3"];
    expect(await says(versions, configuration())).toEqual([
      "ok: Bottlerocket 1.66.0 is ami-0123456789abcdef0",
      "ok: VPC CNI v1.22.4-eksbuild.3",
    ]);
  });

  test("what does not exist is missing, and says which field changes it", async () => {
    limits.vpcCni = ["v1.23.0-eksbuild.1"];
    const own = configuration("", "    values: { nodes: { bottlerocketVersion: 1.99.0 } }");
    expect(await says(versions, own)).toEqual([
      expect.stringMatching(
        /^missing: there is no Bottlerocket 1\.99\.0 .*values\.nodes\.bottlerocketVersion/,
      ),
      expect.stringMatching(
        /^missing: EKS has no VPC CNI .* but v1\.23\.0-eksbuild\.1: set `cluster\.vpcCniVersion`/,
      ),
    ]);
  });
});

describe("a new cluster", () => {
  test("that everybody reaches and nobody may use is a warning", async () => {
    expect(await says(cluster, configuration())).toEqual([
      "ok: a new one",
      expect.stringMatching(/^warning: its Kubernetes API is open to the internet/),
      expect.stringMatching(/^warning: nobody may use kubectl/),
    ]);
    const limited = `cluster: { apiAccess: [203.0.113.0/24], administrators: ["arn:aws:iam::${ACCOUNT}:role/ops"] }`;
    expect(await says(cluster, configuration(limited))).toEqual(["ok: a new one"]);
  });
});

describe("interface endpoints", () => {
  const within = async (egressNetworks: string[]) => {
    const ec2 = new EC2Client(aws(region));
    const { Vpcs = [] } = await ec2.send(new DescribeVpcsCommand({}));
    const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
    const [vpc, subnet] = [Vpcs[0]?.VpcId ?? "", Subnets[0]];
    const make = (service: string) =>
      ec2.send(
        new CreateVpcEndpointCommand({
          VpcId: vpc,
          ServiceName: `com.amazonaws.us-west-2.${service}`,
          VpcEndpointType: "Interface",
          PrivateDnsEnabled: true,
          SubnetIds: [subnet?.SubnetId ?? ""],
        }),
      );
    await make("sqs");
    await make("ecr.dkr");
    const whole = configuration();
    const config = { ...whole, cluster: { ...whole.cluster, existing: "production", vpc, egressNetworks } };
    return { block: subnet?.CidrBlock ?? "", found: await says(endpoints, config) };
  };

  test("of services that pods call have to be opened", async () => {
    const { block, found } = await within(["10.0.0.0/8"]);
    expect(found).toEqual([
      `missing: pods call sqs by an interface endpoint in ${block}, which their network policy closes: ` +
        `add ${block} to \`cluster.egressNetworks\``,
    ]);
  });

  test("are open by a network that contains them", async () => {
    const { block, found } = await within(["172.16.0.0/12"]);
    expect(found).toEqual([`ok: pods call sqs by an interface endpoint in ${block}`]);
    expect(await says(endpoints, configuration())).toEqual(["ok: a new VPC has none"]);
  });
});

describe("an existing cluster", () => {
  const config = (more: Partial<Config["cluster"]>): Config => {
    const whole = configuration();
    return { ...whole, cluster: { ...whole.cluster, existing: "production", ...more } };
  };

  test("its own KEDA is new enough, or is named", () => {
    expect(kedaFinding("2.20.2").verdict).toBe("ok");
    expect(kedaFinding("2.17.0").verdict).toBe("warning");
    expect(kedaFinding("2.9.1").verdict).toBe("missing");
    expect(kedaFinding(undefined).verdict).toBe("missing");
  });

  test("its own KEDA is asked for by kubectl, with the version that its deployment names", async () => {
    const folder = mkdtempSync(join(tmpdir(), "kubectl-"));
    const metadata = { labels: { "app.kubernetes.io/version": "2.12.1" } };
    for (const [program, prints] of [
      ["aws", ""],
      ["kubectl", JSON.stringify({ items: [{ metadata }] })],
    ] as const)
      writeFileSync(join(folder, program), `#!/bin/sh\necho '${prints}'\n`, { mode: 0o755 });
    const { install } = config({}).cluster;
    await new EKSClient(aws(region)).send(
      new CreateClusterCommand({
        name: "production",
        roleArn: `arn:aws:iam::${ACCOUNT}:role/cluster`,
        resourcesVpcConfig: {},
      }),
    );
    const asked = async (keda: boolean) =>
      (await says(cluster, config({ install: { ...install, keda } }))).filter((line) =>
        line.includes("KEDA is"),
      );
    vi.stubEnv("PATH", `${folder}:${process.env["PATH"]}`);
    expect(await asked(false)).toEqual([expect.stringMatching(/^missing: its KEDA is 2\.12\.1, /)]);
    expect(await asked(true)).toEqual([]);
    vi.unstubAllEnvs();
  });

  test("of IPv6 needs network policies of IPv6", async () => {
    await new EKSClient(aws(region)).send(
      new CreateClusterCommand({
        name: "production",
        roleArn: `arn:aws:iam::${ACCOUNT}:role/cluster`,
        resourcesVpcConfig: {},
        kubernetesNetworkConfig: { ipFamily: "ipv6" },
      }),
    );
    const six = config({});
    const fault =
      "missing: its pods have addresses of ipv6: set `values.networkPolicy.ipFamily: ipv6` of sdruntime";
    expect(await says(cluster, six)).toContain(fault);
    six.runtimes[0]!.values = { networkPolicy: { ipFamily: "ipv6" } };
    expect(await says(cluster, six)).not.toContain(fault);
  });

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
    expect(found).not.toContainEqual(expect.stringContaining("addresses of"));
    expect(found).toContainEqual(
      expect.stringMatching(/^warning: production runs Kubernetes 1\.31; KEDA was tested on/),
    );
    // moto knows no access configuration, as EKS did before there was one: then the mode is CONFIG_MAP.
    expect(found).toContainEqual(
      expect.stringMatching(/^missing: its authentication mode is CONFIG_MAP: `aws eks/),
    );
    expect(found).toContainEqual(expect.stringMatching(/^warning: its VPC CNI is no add-on of EKS/));
    for (const [values, expected] of [
      ['{"enableNetworkPolicy":"true"}', "ok: its VPC CNI enforces network policies"],
      ["env: {}", expect.stringMatching(/^warning: its VPC CNI enforces no .*aws eks update-addon/)],
    ]) {
      limits.vpcCniValues = String(values);
      expect(await says(cluster, config({}))).toContainEqual(expected);
    }
    expect(found).toContain("missing: subnet-00000000 does not exist");
    expect(found).toContain("missing: sg-00000000 does not exist");

    const eks = new EKSClient(aws(region));
    const { cluster: made } = await eks.send(new DescribeClusterCommand({ name: "production" }));
    const issuer = made?.identity?.oidc?.issuer?.replace("https://", "");
    const irsa = async (oidcProvider: string) =>
      (await says(cluster, config({ identity: "irsa", oidcProvider }))).filter((line) =>
        line.includes("OIDC"),
      );
    const provider = `arn:aws:iam::${ACCOUNT}:oidc-provider/`;
    expect(await irsa(provider + issuer)).toEqual([`ok: its OIDC provider is ${provider}${issuer}`]);
    expect(await irsa(`${provider}other`)).toEqual([expect.stringMatching(/^missing: its OIDC issuer is /)]);
  });
});
