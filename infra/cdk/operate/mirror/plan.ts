// What is mirrored: the charts that a configuration installs, and the images that they name.

import { parseAllDocuments, visit } from "yaml";

import type { ChartSource, ThirdPartyCharts } from "../../lib/cluster/third-party-charts.ts";
import { installsKarpenter } from "../../lib/config/installs-karpenter.ts";
import type { Config } from "../../lib/config/types.ts";

export interface Copy {
  from: string;
  to: string;
  /** What the copy is called below the mirror. */
  repository: string;
}

export function wantedCharts(config: Config, charts: ThirdPartyCharts): ChartSource[] {
  return [
    ...(config.cluster.install.keda ? [charts.keda()] : []),
    ...(installsKarpenter(config) ? [charts.karpenter("karpenter-crd"), charts.karpenter("karpenter")] : []),
  ];
}

/** The images in rendered manifests, each once, and where the stacks look for their copies. */
export function copies(manifests: string, mirror: string): Copy[] {
  const images = new Set<string>();
  for (const document of parseAllDocuments(manifests)) {
    visit(document as never, {
      Pair(_, { key, value }) {
        const [name, image] = [key, value].map((node) => (node as { value?: unknown } | null)?.value);
        if (name === "image" && typeof image === "string") images.add(image);
      },
    });
  }
  return [...images].map((from) => {
    const [, repository = "", tag = ""] = IMAGE.exec(from) ?? [];
    if (!tag) throw new Error(`${from} has no registry, or no tag`);
    return { from, to: `${mirror}/${repository}:${tag}`, repository };
  });
}

/** <registry>/<repository>:<tag>, perhaps with the digest of what the tag meant when the chart was made. */
const IMAGE = /^[^/]+\.[^/]+\/([^:@]+):([^@]+)(?:@sha256:[0-9a-f]{64})?$/;
