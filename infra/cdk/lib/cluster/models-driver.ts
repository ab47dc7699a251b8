import { Aws, aws_iam as iam } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { ClusterConfig } from "../config/types.ts";
import { acknowledgeWildcards } from "./acknowledged.ts";
import { addon } from "./addon.ts";
import { PodRole } from "./identity.ts";
import type { TargetCluster } from "./target.ts";

export interface ModelsDriverProps {
  target: TargetCluster;
  identity: ClusterConfig["identity"];
  modelBucket: string;
}

/**
 * The Mountpoint for S3 CSI driver, through which runtimes read their models. It may read that bucket, and
 * write nothing.
 */
export class ModelsDriver extends Construct {
  constructor(scope: Construct, id: string, { target, identity, modelBucket }: ModelsDriverProps) {
    super(scope, id);
    const reader = new PodRole(this, "Reader", {
      target,
      identity,
      account: { namespace: "kube-system", name: "s3-csi-driver-sa" },
      description: `Mountpoint for S3 on ${target.name}: reads models`,
    });
    for (const statement of readsModels(modelBucket)) reader.role.addToPolicy(statement);
    acknowledgeWildcards(reader, "Every object of the model bucket is a model.", everyObject(modelBucket));

    const driver = addon(this, "Addon", target, "aws-mountpoint-s3-csi-driver", {
      // GPU nodes are tainted. Older builds of the add-on do not tolerate that by default.
      configuration: { node: { tolerateAllTaints: true } },
      ...reader.forAddon(),
    });
    driver.node.addDependency(...target.ready, reader, reader.associate());
  }
}

/** What Mountpoint needs to read a bucket (Mountpoint, "IAM permissions"). */
export function readsModels(bucket: string): iam.PolicyStatement[] {
  return [
    new iam.PolicyStatement({
      actions: ["s3:ListBucket"],
      resources: [`arn:${Aws.PARTITION}:s3:::${bucket}`],
    }),
    new iam.PolicyStatement({ actions: ["s3:GetObject"], resources: [everyObject(bucket)] }),
  ];
}

/** The objects of a bucket that is known by its name. */
export function everyObject(bucket: string): string {
  return `arn:${Aws.PARTITION}:s3:::${bucket}/*`;
}
