import { KubectlV35Layer } from "@aws-cdk/lambda-layer-kubectl-v35";
import { KubectlV36Layer } from "@aws-cdk/lambda-layer-kubectl-v36";
import type { aws_lambda as lambda } from "aws-cdk-lib";
import type { Construct } from "constructs";

import type { ClusterConfig } from "../config/types.ts";

/**
 * kubectl and helm for that version: kubectl may be one minor version away from the cluster (Kubernetes' skew
 * policy).
 */
export function kubectlLayer(scope: Construct, version: ClusterConfig["version"]): lambda.ILayerVersion {
  switch (version) {
    case "1.35":
      return new KubectlV35Layer(scope, "Kubectl");
    case "1.36":
      return new KubectlV36Layer(scope, "Kubectl");
  }
}
