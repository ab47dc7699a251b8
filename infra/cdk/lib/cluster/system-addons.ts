import type { aws_eks_v2 as eks } from "aws-cdk-lib";
import { Construct } from "constructs";

import { addon } from "./addon.ts";
import type { TargetCluster } from "./target.ts";

export interface SystemAddonsProps {
  target: Pick<TargetCluster, "cluster">;
  nodes: eks.Nodegroup;
  /** The version of the VPC CNI add-on, which contains the network policy agent. */
  vpcCniVersion: string;
}

/**
 * What every cluster needs: addresses, service routing, names, credentials. There is no metrics server: KEDA
 * brings its own adapter and its HPAs ask for external metrics only; `kubectl top` is what goes without.
 */
export class SystemAddons extends Construct {
  constructor(scope: Construct, id: string, { target, nodes, vpcCniVersion }: SystemAddonsProps) {
    super(scope, id);
    // Network policies are only text until the VPC CNI enforces them (EKS user guide, "cni-network-policy"). What its agent
    // applies differs between versions (aws-network-policy-agent#631), and the chart's policies are checked against this one.
    const addresses = addon(this, "VpcCni", target, "vpc-cni", {
      addonVersion: vpcCniVersion,
      configuration: { enableNetworkPolicy: "true" },
    });
    const routing = addon(this, "KubeProxy", target, "kube-proxy");
    const credentials = podIdentityAgent(this, target);
    const names = addon(this, "CoreDns", target, "coredns");

    // A node is ready once it has addresses to give; DNS is a Deployment and wants nodes.
    nodes.node.addDependency(addresses, routing, credentials);
    names.node.addDependency(nodes);
  }
}

/** The agent that hands out the credentials of EKS Pod Identity. */
export function podIdentityAgent(scope: Construct, target: Pick<TargetCluster, "cluster">): eks.CfnAddon {
  return addon(scope, "PodIdentityAgent", target, "eks-pod-identity-agent");
}
