// What the scripts of this folder need of a deployment's configuration, a line `name=value` each. Values keep to the
// schema's patterns, so none has a blank or a quote in it.

import { readFileSync } from "node:fs";

import { ConfigError, parse } from "../cdk/lib/config/load.ts";
import type { Config } from "../cdk/lib/config/types.ts";
import { parseDocument } from "./yaml.mts";

try {
  const config = load(process.argv[2] ?? "");
  for (const [name, value] of settings(config)) console.log(`${name}=${value}`);
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

/** `imageCache` is left out: a file that asks for a snapshot is only valid once there is one. */
function load(file: string): Config {
  const document = parseDocument(readFileSync(file, "utf8"));
  if (document.errors.length === 0) document.delete("imageCache");
  return parse(String(document), file);
}

function settings(config: Config): [string, string | number][] {
  return [
    ["name", config.name],
    ["region", config.region],
    ["suffix", config.partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"],
    ["account", config.account ?? ""],
    ["registry", config.images.registry ?? ""],
    ["tag", config.images.tag],
    ["kubernetes", config.cluster.version],
    ["bottlerocket", bottlerocket()],
    ["existing", config.cluster.existing ?? ""],
    ["subnet", config.cluster.subnets?.[0] ?? ""],
    // EBS makes no volume smaller than the snapshot that it comes from.
    ["volume", Math.min(...config.runtimes.map((runtime) => runtime.instances.volumeGiB))],
    ...config.runtimes.map((runtime): [string, string] => ["runtime", runtime.image ?? runtime.type]),
  ];
}

/** The version that GPU nodes run. */
function bottlerocket(): string {
  const values = readFileSync(new URL("../chart/values.yaml", import.meta.url), "utf8");
  return parseDocument(values).getIn(["nodes", "bottlerocketVersion"]) as string;
}
