import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { ThirdPartyCharts } from "../lib/cluster/third-party-charts.ts";
import { load } from "../lib/config/load.ts";
import type { Config } from "../lib/config/types.ts";
import { copies, type Copy, wantedCharts } from "./mirror/plan.ts";
import { Registry } from "./mirror/registry.ts";
import { copier } from "./mirror/copier.ts";
import type { Command } from "./support/command.ts";
import { say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";
import { capture, run } from "./support/programs.ts";

export const command: Command = {
  help: `Copies the charts of KEDA and Karpenter and their images into the account's registry, for closed networks.
For China, and wherever a cluster reaches neither GitHub nor ECR Public: set \`cluster.charts\` to the registry, run this
where both are reached, and deploy. Versions are those that the stacks deploy, and the images are those that the charts
name. Needs helm, and crane or docker.`,
  options: { "dry-run": { type: "boolean", description: "say what would be copied" } },
  async run({ file, values }) {
    const config = load(file);
    const registry = Registry.of(config);
    const folder = await mkdtemp(join(tmpdir(), "darkroom-mirror-"));
    try {
      await mirror(config, registry, folder, values["dry-run"] === true);
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function mirror(config: Config, registry: Registry, folder: string, dryRun: boolean): Promise<void> {
  const charts = wantedCharts(config, new ThirdPartyCharts());
  if (charts.length === 0)
    throw new Failure("the configuration installs neither KEDA nor Karpenter: nothing is mirrored");
  const images: Copy[] = [];
  for (const { chart, repository, version } of charts) {
    const source = repository.startsWith("oci://") ? [repository] : [chart, "--repo", repository];
    await run("helm", ["pull", ...source, "--version", version, "--destination", folder]);
    const manifests = await capture("helm", [
      "template",
      chart,
      join(folder, `${chart}-${version}.tgz`),
      ...TEMPLATE_VALUES,
    ]);
    images.push(...copies(manifests, registry.prefix));
  }
  if (dryRun) {
    for (const { chart, version } of charts)
      say(`would push ${chart} ${version} to ${registry.prefix}/${chart}`);
    for (const { from, to } of images) say(`would copy ${from} to ${to}`);
    return;
  }
  const copy = await copier();
  const login = await registry.login();
  await run("helm", ["registry", "login", login.host, "--username", login.user, "--password-stdin"], {
    input: login.password,
  });
  await copy.login(login);
  for (const { chart, version } of charts) {
    await registry.ensure(chart);
    await run("helm", ["push", join(folder, `${chart}-${version}.tgz`), `oci://${registry.prefix}`]);
  }
  for (const { from, to, repository } of images) {
    await registry.ensure(repository);
    say(`${from} → ${to}`);
    await copy.copy(from, to);
  }
  say(`mirrored ${charts.length} charts and ${images.length} images to ${registry.prefix}`);
}

/** What a chart cannot be rendered without. No image depends on it. */
const TEMPLATE_VALUES = ["--set", "settings.clusterName=any"];
