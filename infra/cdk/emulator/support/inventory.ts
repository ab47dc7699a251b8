// Everything that the stack could leave behind, by kind and name.

import { APIGatewayClient, GetApiKeysCommand, GetRestApisCommand, GetUsagePlansCommand } from "@aws-sdk/client-api-gateway";
import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import { CloudWatchClient, DescribeAlarmsCommand, ListDashboardsCommand } from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { IAMClient, ListRolesCommand } from "@aws-sdk/client-iam";
import { DescribeKeyCommand, KMSClient, ListKeysCommand } from "@aws-sdk/client-kms";
import { LambdaClient, ListEventSourceMappingsCommand, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { ListSubscriptionsCommand, ListTopicsCommand, SNSClient } from "@aws-sdk/client-sns";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";

import type { Emulator } from "./emulator.ts";
import { CREDENTIALS } from "./queues.ts";

/** The kinds, each with the names that there are. */
export type Inventory = Record<string, string[]>;

export async function inventory({ url }: Emulator): Promise<Inventory> {
  const access = { endpoint: url, region: "us-east-1", credentials: CREDENTIALS };
  const api = new APIGatewayClient(access);
  const cloudwatch = new CloudWatchClient(access);
  const lambda = new LambdaClient(access);
  const sns = new SNSClient(access);

  const { Stacks } = await new CloudFormationClient(access).send(new DescribeStacksCommand());
  const { QueueUrls } = await new SQSClient(access).send(new ListQueuesCommand());
  const { Topics } = await sns.send(new ListTopicsCommand());
  const { Subscriptions } = await sns.send(new ListSubscriptionsCommand());
  const { Functions } = await lambda.send(new ListFunctionsCommand());
  const { EventSourceMappings } = await lambda.send(new ListEventSourceMappingsCommand());
  const { items: apis } = await api.send(new GetRestApisCommand());
  const { items: keys } = await api.send(new GetApiKeysCommand());
  const { items: plans } = await api.send(new GetUsagePlansCommand());
  const { Buckets } = await new S3Client({ ...access, forcePathStyle: true }).send(new ListBucketsCommand());
  const { MetricAlarms } = await cloudwatch.send(new DescribeAlarmsCommand());
  const { DashboardEntries } = await cloudwatch.send(new ListDashboardsCommand());
  const { logGroups } = await new CloudWatchLogsClient(access).send(new DescribeLogGroupsCommand());
  const { Roles } = await new IAMClient(access).send(new ListRolesCommand());

  return sorted({
    stacks: Stacks?.filter(({ StackStatus }) => StackStatus !== "DELETE_COMPLETE").map(({ StackName }) => StackName),
    queues: QueueUrls?.map((queue) => queue.split("/").at(-1)),
    topics: Topics?.map(({ TopicArn }) => TopicArn),
    subscriptions: Subscriptions?.map(({ Protocol, Endpoint }) => `${Protocol} ${Endpoint}`),
    functions: Functions?.map(({ FunctionName }) => FunctionName),
    eventSources: EventSourceMappings?.map(({ EventSourceArn }) => EventSourceArn),
    apis: apis?.map(({ name }) => name),
    apiKeys: keys?.map(({ name }) => name),
    usagePlans: plans?.map(({ name }) => name),
    buckets: Buckets?.map(({ Name }) => Name),
    alarms: MetricAlarms?.map(({ AlarmName }) => AlarmName),
    dashboards: DashboardEntries?.map(({ DashboardName }) => DashboardName),
    logGroups: logGroups?.map(({ logGroupName }) => logGroupName),
    roles: Roles?.map(({ RoleName }) => RoleName),
    keys: await usableKeys(new KMSClient(access)),
  });
}

/** A key that is deleted stays for a week in which it cannot be used. */
async function usableKeys(kms: KMSClient): Promise<string[]> {
  const { Keys } = await kms.send(new ListKeysCommand());
  const described = (Keys ?? []).map(async ({ KeyId }) => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata);
  return (await Promise.all(described)).flatMap((key) => (key?.Enabled ? [key.Description ?? ""] : []));
}

function sorted(found: Record<string, (string | undefined)[] | undefined>): Inventory {
  return Object.fromEntries(
    Object.entries(found).map(([kind, names]) => [kind, (names ?? []).map((name) => name ?? "").sort()]),
  );
}
