// The charts that others publish: where they and their images come from.

/** Karpenter 1.35 clusters need at least 1.9, 1.36 ones 1.13 (Karpenter, "Compatibility"). */
export const KARPENTER_VERSION = "1.14.1";
/** Tested with Kubernetes 1.33 to 1.35 (KEDA 2.20, "Cluster"). */
export const KEDA_VERSION = "2.20.2";

/** A chart, as `eks.HelmChart` wants it. */
export interface ChartSource {
  chart: string;
  repository: string;
  version: string;
}

/**
 * The charts, from their own homes or from a mirror. A mirror has `<chart>` for each chart and, under the
 * names that the charts give them, the images: `kedacore/keda`, `karpenter/controller` and so on.
 */
export class ThirdPartyCharts {
  private readonly mirror: string | undefined;

  constructor(mirror?: string) {
    this.mirror = mirror?.replace(/\/+$/, "");
  }

  keda(): ChartSource {
    const repository = this.mirror ? `${this.mirror}/keda` : "https://kedacore.github.io/charts";
    return { chart: "keda", repository, version: KEDA_VERSION };
  }

  karpenter(chart: "karpenter" | "karpenter-crd"): ChartSource {
    const home = this.mirror ?? "oci://public.ecr.aws/karpenter";
    return { chart, repository: `${home}/${chart}`, version: KARPENTER_VERSION };
  }

  /** The registry that images come from instead of their own. */
  imageRegistry(): string | undefined {
    return this.mirror?.replace(/^oci:\/\//, "");
  }
}
