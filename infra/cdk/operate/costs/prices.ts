// What AWS asks, in dollars, and where each figure was read. Lists change: check those that matter to you on
// AWS's own price pages, which were not read here.

import { AUTO_MODE_SHARE, PREDECESSOR, TABLES } from "../../lib/instance-prices.ts";

export const PRICE_BASIS =
  "us-west-2 (the same in us-east-1), list prices without free tiers, as read in November 2026";

export interface Price {
  usd: number;
  per: string;
  source: string;
}

const price = (usd: number, per: string, source: string): Price => ({ usd, per, source });

/** Marks a figure without a source. */
const ASSUMED = "**assumed, check**";
const BLOG_NAT = "cloudburn.io, NAT Gateway Pricing, February 2026";
const BLOG_CLOUDWATCH = "factualminds.com, CloudWatch Pricing, June 2026";
const DYNAMODB = "airbyte.com, Amazon DynamoDB Pricing, July 2025 (us-east-1)";

export const PRICES = {
  eksCluster: price(
    0.1,
    "hour",
    "AWS Containers blog, EKS extended support pricing, 2024; cloudburn.io, March 2026",
  ),
  autoMode: price(
    AUTO_MODE_SHARE,
    "dollar of an instance's On-Demand price",
    "factualminds.com, Amazon EKS Pricing, 2026; differs by type",
  ),
  natGateway: price(0.045, "hour", BLOG_NAT),
  natTraffic: price(0.045, "GB", BLOG_NAT),
  publicAddress: price(0.005, "hour", BLOG_NAT),
  volume: price(0.08, "GiB-month, gp3", ASSUMED),
  snapshot: price(0.05, "GB-month", ASSUMED),
  fastRestore: price(0.75, "hour, zone and snapshot", "AWS whitepaper How AWS Pricing Works (us-east-1)"),
  registry: price(0.1, "GB-month", "cost notes in a public repository, 2026"),
  apiRequests: price(3.5, "million", "AWS whitepaper on private APIs; go-cloud.io, 2026"),
  lambdaRequests: price(0.2, "million", TABLES),
  lambdaTime: price(0.0000133334, "GB-second, arm64", TABLES),
  snsPublish: price(0.5, "million, per 64 KB", "factualminds.com, SNS Pricing, June 2026"),
  snsHttp: price(0.6, "million deliveries", "factualminds.com, SNS Pricing, June 2026"),
  snsEmail: price(20, "million deliveries", "factualminds.com, SNS Pricing, June 2026"),
  sqs: price(0.4, "million requests, per 64 KB", "cloudburn.io, SQS Pricing, March 2026"),
  s3Put: price(5, "million", `devnotes.tech, S3 Pricing; ${PREDECESSOR}`),
  s3Get: price(0.4, "million", "devnotes.tech, S3 Pricing"),
  s3Storage: price(0.023, "GB-month", `devnotes.tech, S3 Pricing; ${PREDECESSOR}`),
  dynamodbWrites: price(0.625, "million write request units", DYNAMODB),
  dynamodbReads: price(0.125, "million read request units", DYNAMODB),
  dynamodbStorage: price(0.25, "GB-month", "AWS's DynamoDB pricing page, a copy without a date"),
  transferOut: price(0.09, "GB to the internet", `devnotes.tech, S3 Pricing; ${PREDECESSOR}`),
  logs: price(0.5, "GB taken in", BLOG_CLOUDWATCH),
  customMetric: price(0.3, "metric and month, of the first 10,000", TABLES),
  otlpMetrics: price(0.5, "GB taken in by OTLP", ASSUMED),
  alarm: price(0.1, "metric and month", "cost notes in a public repository, 2026"),
  dashboard: price(3, "month", BLOG_CLOUDWATCH),
  observations: price(0.21, "million, Container Insights", "cost notes in two public repositories, 2026"),
  traces: price(5, "million", ASSUMED),
} satisfies Record<string, Price>;
