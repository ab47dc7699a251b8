// AWS quotas as they are for a new account, and where each figure was read in November 2026. Service Quotas has those of one's own
// account.

export interface QuotaValue {
  value: number;
  /** Whether AWS raises it on request. */
  adjustable: boolean;
  source: string;
}

/** Marks a figure without a source. */
export const UNVERIFIED = "**not verified, check**";

const REFERENCE = "AWS General Reference, Amazon SNS endpoints and quotas (stored copy)";
const GATEWAY = "API Gateway developer guide, quotas (stored copy)";
const LAMBDA =
  "Lambda developer guide, scaling behavior (stored copy); fulgurion.com, Lambda scales within limits";
const DYNAMODB = "DynamoDB developer guide, quotas, as cited in several public repositories";
const EKS = "EKS best practices guide, known limits and service quotas";

const quota = (value: number, adjustable: boolean, source: string): QuotaValue => ({
  value,
  adjustable,
  source,
});

export const QUOTAS = {
  lambdaConcurrency: quota(1000, true, LAMBDA),
  snsEmail: quota(10, false, `${REFERENCE}; re:Post, SNS email subscription disabled`),
  snsFilters: quota(200, true, REFERENCE),
  sqsInFlight: quota(120_000, true, "SQS developer guide, quotas related to queues (stored copy)"),
  s3Puts: quota(3500, false, "re:Post, S3 object key naming pattern; several public pages, which agree"),
  s3Gets: quota(5500, false, "re:Post, S3 object key naming pattern; several public pages, which agree"),
  dynamodbTable: quota(40_000, true, DYNAMODB),
  dynamodbNewTable: quota(4000, true, "DynamoDB on-demand capacity, as cited in several public repositories"),
  dynamodbPartition: quota(1000, false, "DynamoDB developer guide, partition key design (stored copy)"),
  gpuOnDemand: quota(0, true, "EC2 user guide, as reported for new accounts in several public repositories"),
  gpuSpot: quota(0, true, "EC2 user guide, Spot Instance quotas (stored copy)"),
  gp3: quota(50, true, EKS),
  interfaces: quota(5000, true, EKS),
  nodes: quota(5000, false, "kubernetes.io, considerations for large clusters, v1.35 (stored copy)"),
  natConnections: quota(
    55_000,
    false,
    "VPC user guide, NAT gateways, as cited in several public repositories",
  ),
  logs: quota(1500, true, UNVERIFIED),
} satisfies Record<string, QuotaValue>;

const SMALL_GATEWAY_REGIONS =
  /^(af-south-1|eu-south-[12]|ap-southeast-[3457]|me-central-1|ap-south-2|eu-central-2|il-central-1|ca-west-1|mx-central-1)$/;

/** Requests per second to all APIs of the account in the region, and at once. AWS does not raise the burst by itself. */
export function gatewayQuota(region: string): { rate: QuotaValue; burst: QuotaValue } {
  const small = SMALL_GATEWAY_REGIONS.test(region);
  return {
    rate: quota(small ? 2500 : 10_000, true, GATEWAY),
    burst: quota(small ? 1250 : 5000, false, GATEWAY),
  };
}

/** Messages per second that may be published to standard topics. */
export function publishQuota(region: string): QuotaValue {
  if (region === "us-east-1") return quota(30_000, true, REFERENCE);
  if (/^(us-west-2|eu-west-1)$/.test(region)) return quota(9000, true, REFERENCE);
  const large = /^(us-east-2|us-west-1|ap-south-1|ap-northeast-[12]|ap-southeast-[12]|eu-central-1)$/;
  return quota(large.test(region) ? 1500 : 300, true, REFERENCE);
}

/** Symmetric operations per second with keys of the account and with AWS managed ones. */
export function keyQuota(region: string): QuotaValue {
  const source = "KMS developer guide, request quotas (copy in a public repository)";
  if (/^(us-east-1|us-west-2|eu-west-1)$/.test(region)) return quota(100_000, true, source);
  const middle = /^(us-east-2|ap-southeast-[12]|ap-northeast-1|eu-central-1|eu-west-2)$/;
  return quota(middle.test(region) ? 20_000 : 10_000, true, source);
}
