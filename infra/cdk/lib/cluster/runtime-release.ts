import { aws_eks_v2 as eks, type aws_s3_assets as assets } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Runtime } from "../config/types.ts";
import { type RuntimeSurroundings, runtimeValues } from "./runtime-values.ts";

export interface RuntimeReleaseProps extends RuntimeSurroundings {
  runtime: Runtime;
  /** The chart, uploaded once for all runtimes. */
  chart: assets.Asset;
}

/**
 * One runtime: a release of the chart under its name. Nobody waits for its pods: they want a GPU node, which
 * may take minutes or, while there is no capacity, hours, and that is no reason to roll the stack back.
 */
export class RuntimeRelease extends Construct {
  constructor(scope: Construct, id: string, { runtime, chart, ...around }: RuntimeReleaseProps) {
    super(scope, id);
    new eks.HelmChart(this, "Release", {
      cluster: around.target.cluster,
      chartAsset: chart,
      release: runtime.name,
      namespace: around.account.namespace,
      values: runtimeValues(runtime, around),
    });
  }
}
