// What Karpenter's controller may do. The statements, their names and their conditions are those of the
// CloudFormation template in Karpenter's "Getting Started" for 1.14, so that the two can be compared; the
// differences are:
// - `AllowZonalShiftStatusReadOnly` is missing, since zonal shift is not switched on;
// - `AllowSpotServiceLinkedRole` is added, so that the first Spot node of an account needs no preparation.

import { aws_iam as iam, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";

export interface KarpenterPoliciesProps {
  /** The name of the cluster, as text: it is part of condition keys. */
  cluster: string;
  nodeRole: iam.IRole;
  interruptionQueueArn: string;
}

/** The policies by name. Together they are too long for one. */
export function karpenterPolicies(
  scope: Construct,
  props: KarpenterPoliciesProps,
): Record<string, iam.PolicyStatement[]> {
  const stack = Stack.of(scope);
  const ec2 = (resource: string, account = "*") =>
    `arn:${stack.partition}:ec2:${stack.region}:${account}:${resource}`;
  const iamArn = (resource: string) => `arn:${stack.partition}:iam::${stack.account}:${resource}`;
  return {
    NodeLifecycle: nodeLifecycle(props.cluster, ec2),
    InstanceProfiles: instanceProfiles(props, stack.region, iamArn("instance-profile/*")),
    Surroundings: [
      ...surroundings(props, stack),
      new iam.PolicyStatement({
        sid: "AllowInstanceProfileReadActions",
        actions: ["iam:GetInstanceProfile"],
        resources: [iamArn("instance-profile/*")],
      }),
      new iam.PolicyStatement({
        sid: "AllowSpotServiceLinkedRole",
        actions: ["iam:CreateServiceLinkedRole"],
        resources: [iamArn("role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot")],
        conditions: { StringEquals: { "iam:AWSServiceName": "spot.amazonaws.com" } },
      }),
    ],
  };
}

function nodeLifecycle(
  cluster: string,
  ec2: (resource: string, account?: string) => string,
): iam.PolicyStatement[] {
  const owned = (kind: "RequestTag" | "ResourceTag") => ({
    [`aws:${kind}/kubernetes.io/cluster/${cluster}`]: "owned",
  });
  const ofNodePool = (kind: "RequestTag" | "ResourceTag") => ({
    StringLike: { [`aws:${kind}/karpenter.sh/nodepool`]: "*" },
  });
  const ownedOnRequest = { ...owned("RequestTag"), "aws:RequestTag/eks:eks-cluster-name": cluster };
  const launched = [
    "fleet",
    "instance",
    "volume",
    "network-interface",
    "launch-template",
    "spot-instances-request",
  ];
  return [
    new iam.PolicyStatement({
      sid: "AllowScopedEC2InstanceAccessActions",
      actions: ["ec2:RunInstances", "ec2:CreateFleet"],
      resources: [
        ec2("image/*", ""),
        ec2("snapshot/*", ""),
        ...["security-group", "subnet", "capacity-reservation", "placement-group"].map((kind) =>
          ec2(`${kind}/*`),
        ),
      ],
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedEC2LaunchTemplateAccessActions",
      actions: ["ec2:RunInstances", "ec2:CreateFleet"],
      resources: [ec2("launch-template/*")],
      conditions: { StringEquals: owned("ResourceTag"), ...ofNodePool("ResourceTag") },
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedEC2InstanceActionsWithTags",
      actions: ["ec2:RunInstances", "ec2:CreateFleet", "ec2:CreateLaunchTemplate"],
      resources: launched.map((kind) => ec2(`${kind}/*`)),
      conditions: { StringEquals: ownedOnRequest, ...ofNodePool("RequestTag") },
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedResourceCreationTagging",
      actions: ["ec2:CreateTags"],
      resources: launched.map((kind) => ec2(`${kind}/*`)),
      conditions: {
        StringEquals: {
          ...ownedOnRequest,
          "ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"],
        },
        ...ofNodePool("RequestTag"),
      },
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedResourceTagging",
      actions: ["ec2:CreateTags"],
      resources: [ec2("instance/*")],
      conditions: {
        StringEquals: owned("ResourceTag"),
        ...ofNodePool("ResourceTag"),
        StringEqualsIfExists: { "aws:RequestTag/eks:eks-cluster-name": cluster },
        "ForAllValues:StringEquals": {
          "aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"],
        },
      },
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedDeletion",
      actions: ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
      resources: [ec2("instance/*"), ec2("launch-template/*")],
      conditions: { StringEquals: owned("ResourceTag"), ...ofNodePool("ResourceTag") },
    }),
  ];
}

function instanceProfiles(
  { cluster, nodeRole }: KarpenterPoliciesProps,
  region: string,
  profiles: string,
): iam.PolicyStatement[] {
  const tags = (kind: "RequestTag" | "ResourceTag") => ({
    [`aws:${kind}/kubernetes.io/cluster/${cluster}`]: "owned",
    [`aws:${kind}/topology.kubernetes.io/region`]: region,
  });
  const onRequest = { ...tags("RequestTag"), "aws:RequestTag/eks:eks-cluster-name": cluster };
  const ofNodeClass = (kind: "RequestTag" | "ResourceTag") => ({
    [`aws:${kind}/karpenter.k8s.aws/ec2nodeclass`]: "*",
  });
  return [
    new iam.PolicyStatement({
      sid: "AllowPassingInstanceRole",
      actions: ["iam:PassRole"],
      resources: [nodeRole.roleArn],
      conditions: { StringEquals: { "iam:PassedToService": ["ec2.amazonaws.com", "ec2.amazonaws.com.cn"] } },
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedInstanceProfileCreationActions",
      actions: ["iam:CreateInstanceProfile"],
      resources: [profiles],
      conditions: { StringEquals: onRequest, StringLike: ofNodeClass("RequestTag") },
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedInstanceProfileTagActions",
      actions: ["iam:TagInstanceProfile"],
      resources: [profiles],
      conditions: {
        StringEquals: { ...tags("ResourceTag"), ...onRequest },
        StringLike: { ...ofNodeClass("ResourceTag"), ...ofNodeClass("RequestTag") },
      },
    }),
    new iam.PolicyStatement({
      sid: "AllowScopedInstanceProfileActions",
      actions: [
        "iam:AddRoleToInstanceProfile",
        "iam:RemoveRoleFromInstanceProfile",
        "iam:DeleteInstanceProfile",
      ],
      resources: [profiles],
      conditions: { StringEquals: tags("ResourceTag"), StringLike: ofNodeClass("ResourceTag") },
    }),
  ];
}

function surroundings(
  { cluster, interruptionQueueArn }: KarpenterPoliciesProps,
  stack: Stack,
): iam.PolicyStatement[] {
  return [
    new iam.PolicyStatement({
      sid: "AllowAPIServerEndpointDiscovery",
      actions: ["eks:DescribeCluster"],
      resources: [stack.formatArn({ service: "eks", resource: "cluster", resourceName: cluster })],
    }),
    new iam.PolicyStatement({
      sid: "AllowInterruptionQueueActions",
      actions: ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"],
      resources: [interruptionQueueArn],
    }),
    new iam.PolicyStatement({
      sid: "AllowRegionalReadActions",
      actions: [
        "ec2:DescribeCapacityReservations",
        "ec2:DescribeImages",
        "ec2:DescribeInstances",
        "ec2:DescribeInstanceStatus",
        "ec2:DescribeInstanceTypeOfferings",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribePlacementGroups",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSpotPriceHistory",
        "ec2:DescribeSubnets",
      ],
      resources: ["*"],
      conditions: { StringEquals: { "aws:RequestedRegion": stack.region } },
    }),
    new iam.PolicyStatement({
      sid: "AllowSSMReadActions",
      actions: ["ssm:GetParameter"],
      resources: [`arn:${stack.partition}:ssm:${stack.region}::parameter/aws/service/*`],
    }),
    new iam.PolicyStatement({
      sid: "AllowPricingReadActions",
      actions: ["pricing:GetProducts"],
      resources: ["*"],
    }),
    new iam.PolicyStatement({
      sid: "AllowUnscopedInstanceProfileListAction",
      actions: ["iam:ListInstanceProfiles"],
      resources: ["*"],
    }),
  ];
}
