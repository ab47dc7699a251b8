import { aws_ec2 as ec2, aws_eks_v2 as eks, Tags } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { ClusterConfig } from "../config/types.ts";
import { nodeRole } from "./node-role.ts";

export interface SystemNodesProps {
  /** The name of the cluster. */
  name: string;
  cluster: eks.Cluster;
  nodes: ClusterConfig["systemNodes"];
}

/**
 * The nodes for everything but the runtimes: DNS, KEDA, Karpenter, agents. They cost whether there are tasks
 * or not.
 */
export class SystemNodes extends Construct {
  readonly group: eks.Nodegroup;

  constructor(scope: Construct, id: string, { name, cluster, nodes }: SystemNodesProps) {
    super(scope, id);
    const instanceType = new ec2.InstanceType(nodes.instanceType);
    const arm = instanceType.architecture === ec2.InstanceArchitecture.ARM_64;

    const role = nodeRole(this, "Role", `System nodes of ${name}`);
    const template = new ec2.LaunchTemplate(this, "Template", {
      // One hop: pods cannot reach the metadata service, hence not the node's role.
      httpTokens: ec2.LaunchTemplateHttpTokens.REQUIRED,
      httpPutResponseHopLimit: 1,
      // Bottlerocket keeps its system on the first volume and containers on the second.
      blockDevices: [encrypted("/dev/xvda", 4), encrypted("/dev/xvdb", 40)],
    });
    Tags.of(template).add("Name", `${name}-system`);

    this.group = cluster.addNodegroupCapacity("System", {
      instanceTypes: [instanceType],
      amiType: arm ? eks.NodegroupAmiType.BOTTLEROCKET_ARM_64 : eks.NodegroupAmiType.BOTTLEROCKET_X86_64,
      minSize: nodes.count,
      desiredSize: nodes.count,
      maxSize: nodes.count + 1,
      maxUnavailable: 1,
      nodeRole: role,
      subnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
      launchTemplateSpec: { id: template.launchTemplateId ?? "", version: template.latestVersionNumber },
    });
  }
}

function encrypted(deviceName: string, gib: number): ec2.BlockDevice {
  const volume = ec2.BlockDeviceVolume.ebs(gib, {
    encrypted: true,
    volumeType: ec2.EbsDeviceVolumeType.GP3,
    deleteOnTermination: true,
  });
  return { deviceName, volume };
}
