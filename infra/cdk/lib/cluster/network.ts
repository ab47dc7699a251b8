import { aws_ec2 as ec2, Validations } from "aws-cdk-lib";
import { Construct } from "constructs";

export interface NetworkProps {
  zones: number;
  natGateways: number;
}

/**
 * The network of a new cluster. Nodes have private addresses only. Models, results, image layers
 * and the records of tasks go through the gateway endpoints of S3 and DynamoDB, which cost nothing; what is left for the
 * NAT gateways is small.
 */
export class Network extends Construct {
  readonly vpc: ec2.Vpc;

  constructor(scope: Construct, id: string, props: NetworkProps) {
    super(scope, id);
    this.vpc = new ec2.Vpc(this, "Vpc", {
      ipAddresses: ec2.IpAddresses.cidr("10.0.0.0/16"),
      maxAzs: props.zones,
      natGateways: Math.min(props.natGateways, props.zones),
      subnetConfiguration: [
        // Only NAT gateways and load balancers live here.
        { name: "public", subnetType: ec2.SubnetType.PUBLIC, cidrMask: 24, mapPublicIpOnLaunch: false },
        // Each pod has an address of the VPC: 8,187 a zone.
        { name: "private", subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS, cidrMask: 19 },
      ],
      gatewayEndpoints: {
        S3: { service: ec2.GatewayVpcEndpointAwsService.S3 },
        DynamoDB: { service: ec2.GatewayVpcEndpointAwsService.DYNAMODB },
      },
    });
    Validations.of(this.vpc).acknowledge(
      {
        id: "AwsSolutions-VPC7",
        reason:
          "Flow logs are billed by volume and say nothing of what pods do; a deployment that needs them adds them.",
      },
      {
        id: "CloudFormation-Validate::W3010",
        reason: "Zones are named, because EKS refuses some of those that EC2 lists first.",
      },
    );
  }
}
