import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { DescribeRepositoriesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { KARPENTER_VERSION, KEDA_VERSION, ThirdPartyCharts } from "../../lib/cluster/third-party-charts.ts";
import { command } from "../../operate/mirror.ts";
import { copies, wantedCharts } from "../../operate/mirror/plan.ts";
import { aws } from "../../operate/support/aws.ts";
import { ACCOUNT, configuration } from "./support/configuration.ts";
import { withMoto } from "./support/moto.ts";
import { withTerminal } from "./support/terminal.ts";

withMoto();
const terminal = withTerminal();
const MIRROR = `${ACCOUNT}.dkr.ecr.us-west-2.amazonaws.com/darkroom/charts`;
const DIGEST = `sha256:${"0".repeat(64)}`;

const MANIFESTS = `
apiVersion: apps/v1
kind: Deployment
spec: { template: { spec: { containers: [{ name: a, image: "public.ecr.aws/karpenter/controller:1.14.1@${DIGEST}" }] } } }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
spec: { schema: { image: { type: string } } }
---
kind: Pod
spec: { initContainers: [{ image: ghcr.io/kedacore/keda:2.20.2 }], containers: [{ image: ghcr.io/kedacore/keda:2.20.2 }] }
`;

describe("what is mirrored", () => {
  test("the charts that a configuration installs, in the stacks' versions", () => {
    const names = (install: string) =>
      wantedCharts(configuration(install), new ThirdPartyCharts()).map(
        ({ chart, version }) => `${chart} ${version}`,
      );
    expect(names("")).toEqual([
      `keda ${KEDA_VERSION}`,
      `karpenter-crd ${KARPENTER_VERSION}`,
      `karpenter ${KARPENTER_VERSION}`,
    ]);
    const existing =
      "cluster: { existing: x, vpc: vpc-00000000, subnets: [subnet-00000000], securityGroups: [sg-00000000], nodeRole: r, install: { karpenter: false } }";
    expect(names(existing)).toEqual([`keda ${KEDA_VERSION}`]);
    expect(names("cluster: { nodes: auto }")).toEqual([`keda ${KEDA_VERSION}`]);
  });

  test("each image once, under the name that the stacks look for", () => {
    expect(copies(MANIFESTS, MIRROR)).toEqual([
      {
        from: `public.ecr.aws/karpenter/controller:1.14.1@${DIGEST}`,
        to: `${MIRROR}/karpenter/controller:1.14.1`,
        repository: "karpenter/controller",
      },
      {
        from: "ghcr.io/kedacore/keda:2.20.2",
        to: `${MIRROR}/kedacore/keda:2.20.2`,
        repository: "kedacore/keda",
      },
    ]);
    expect(() => copies("image: keda:2.20.2", MIRROR)).toThrow("has no registry");
  });

  test("copies lie where the stacks' charts point", () => {
    const mirrored = new ThirdPartyCharts(`oci://${MIRROR}`);
    expect(mirrored.keda().repository).toBe(`oci://${MIRROR}/keda`);
    expect(mirrored.imageRegistry()).toBe(MIRROR);
  });
});

describe("mirroring", () => {
  let folder = "";
  const path = process.env["PATH"];
  const log = () => readFileSync(join(folder, "log"), "utf8");

  /** Programs that write down how they were called, and what they read where a password may be. */
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "darkroom-mirror-test-"));
    writeFileSync(join(folder, "manifests"), MANIFESTS);
    const note = `echo "$(basename "$0") $*" >> ${folder}/log; case "$*" in *--password-stdin*) cat >> ${folder}/log; echo >> ${folder}/log;; esac`;
    const helm = `${note}\ncase $1 in template) cat ${folder}/manifests;; esac`;
    for (const [name, script] of Object.entries({ helm, crane: note })) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
      chmodSync(join(folder, name), 0o755);
    }
    process.env["PATH"] = `${folder}${delimiter}${path}`;
    writeFileSync(join(folder, "config.yaml"), CONFIG);
  });
  afterEach(() => {
    process.env["PATH"] = path;
    rmSync(folder, { recursive: true });
  });

  const CONFIG = `
region: us-west-2
modelBucket: models
cluster: { charts: "oci://${MIRROR}" }
runtimes: [{ name: comfyui, type: comfyui }]
`;
  const mirror = (values = {}) => command.run({ file: join(folder, "config.yaml"), values, positionals: [] });

  test("makes the repositories, pushes the charts, copies the images", async () => {
    await mirror();
    const { repositories = [] } = await new ECRClient(aws({ region: "us-west-2" })).send(
      new DescribeRepositoriesCommand({}),
    );
    expect(repositories.map(({ repositoryName }) => repositoryName).sort()).toEqual([
      "darkroom/charts/karpenter",
      "darkroom/charts/karpenter-crd",
      "darkroom/charts/karpenter/controller",
      "darkroom/charts/keda",
      "darkroom/charts/kedacore/keda",
    ]);
    expect(log()).toContain(
      `helm pull keda --repo https://kedacore.github.io/charts --version ${KEDA_VERSION} `,
    );
    expect(log()).toContain(
      `helm pull oci://public.ecr.aws/karpenter/karpenter --version ${KARPENTER_VERSION} `,
    );
    expect(log()).toMatch(new RegExp(`helm push \\S+/keda-${KEDA_VERSION}\\.tgz oci://${MIRROR}\n`));
    expect(log()).toContain(`crane copy ghcr.io/kedacore/keda:2.20.2 ${MIRROR}/kedacore/keda:2.20.2\n`);
    expect(log()).toContain(
      `crane copy public.ecr.aws/karpenter/controller@${DIGEST} ${MIRROR}/karpenter/controller:1.14.1\n`,
    );
    // The password comes by standard input, and stands in no argument.
    const logins = log().match(/^(helm registry|crane auth) login .*\n.*/gm) ?? [];
    expect(logins).toHaveLength(2);
    for (const login of logins) {
      const [argumentsOf = "", password = ""] = login.split("\n");
      expect(password).not.toBe("");
      expect(argumentsOf).not.toContain(password);
    }
    await mirror();
  });

  test("a dry run pushes and copies nothing", async () => {
    await mirror({ "dry-run": true });
    expect(terminal.text).toContain(
      `would copy ghcr.io/kedacore/keda:2.20.2 to ${MIRROR}/kedacore/keda:2.20.2`,
    );
    expect(log()).not.toMatch(/push|crane|login/);
  });

  test("needs to be told where to", async () => {
    writeFileSync(join(folder, "config.yaml"), CONFIG.replace(/^cluster.*$/m, ""));
    await expect(mirror()).rejects.toThrow("cluster.charts says where to");
    writeFileSync(join(folder, "config.yaml"), CONFIG.replace(MIRROR, "harbor.example.com/charts"));
    await expect(mirror()).rejects.toThrow("is not an ECR registry");
  });
});
