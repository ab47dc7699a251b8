import { aws_eks_v2 as eks } from "aws-cdk-lib";
import type { Construct } from "constructs";

import type { TargetCluster } from "./target.ts";

export interface AddonOptions extends Pick<eks.CfnAddonProps, "addonVersion" | "serviceAccountRoleArn"> {
  configuration?: Record<string, unknown>;
}

/**
 * An EKS add-on, by default in the version that EKS recommends for the cluster's: EKS never changes one that is
 * installed. The L2 construct cannot give it a role by Pod Identity.
 */
export function addon(
  scope: Construct,
  id: string,
  target: Pick<TargetCluster, "cluster">,
  addonName: string,
  { configuration, ...properties }: AddonOptions = {},
): eks.CfnAddon {
  return new eks.CfnAddon(scope, id, {
    clusterName: target.cluster.clusterName,
    addonName,
    // A new cluster has nothing to overwrite; in an existing one, what is there by hand becomes the add-on's.
    resolveConflicts: "OVERWRITE",
    configurationValues: configuration ? JSON.stringify(configuration) : undefined,
    ...properties,
  });
}
