// Everything that the stack could leave behind, by kind and name.

import {
  APIGatewayClient,
  GetApiKeysCommand,
  GetRestApisCommand,
  GetUsagePlansCommand,
} from "@aws-sdk/client-api-gateway";
import { CloudFormationClient, DescribeStacksCommand } from "@aws-sdk/client-cloudformation";
import {
  CloudWatchClient,
  ResourceNotFound,
  DescribeAlarmsCommand,
  GetDashboardCommand,
} from "@aws-sdk/client-cloudwatch";
import { CloudWatchLogsClient, DescribeLogGroupsCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { IAMClient, ListRolesCommand } from "@aws-sdk/client-iam";
import { DescribeKeyCommand, KMSClient, ListKeysCommand } from "@aws-sdk/client-kms";
import { LambdaClient, ListEventSourceMappingsCommand, ListFunctionsCommand } from "@aws-sdk/client-lambda";
import { ListBucketsCommand, S3Client } from "@aws-sdk/client-s3";
import { ListSubscriptionsCommand, ListTopicsCommand, SNSClient } from "@aws-sdk/client-sns";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";

import { access, type Emulator } from "./emulator.ts";

/** The kinds, each with the names that there are. */
export type Inventory = Record<string, string[]>;

export async function inventory(emulator: Emulator): Promise<Inventory> {
  const reach = access(emulator);
  const api = new APIGatewayClient(reach);
  const cloudwatch = new CloudWatchClient(reach);
  const lambda = new LambdaClient(reach);
  const sns = new SNSClient(reach);

  const { Stacks } = await new CloudFormationClient(reach).send(new DescribeStacksCommand());
  const { QueueUrls } = await new SQSClient(reach).send(new ListQueuesCommand());
  const { Topics } = await sns.send(new ListTopicsCommand());
  const { Subscriptions } = await sns.send(new ListSubscriptionsCommand());
  const { Functions } = await lambda.send(new ListFunctionsCommand());
  const { EventSourceMappings } = await lambda.send(new ListEventSourceMappingsCommand());
  const { items: apis } = await api.send(new GetRestApisCommand());
  const { items: keys } = await api.send(new GetApiKeysCommand());
  const { items: plans } = await api.send(new GetUsagePlansCommand());
  const { Buckets } = await new S3Client({ ...reach, forcePathStyle: true }).send(new ListBucketsCommand());
  const { TableNames: tables } = await new DynamoDBClient(reach).send(new ListTablesCommand());
  const { MetricAlarms } = await cloudwatch.send(new DescribeAlarmsCommand());
  const { logGroups } = await new CloudWatchLogsClient(reach).send(new DescribeLogGroupsCommand());
  const { Roles } = await new IAMClient(reach).send(new ListRolesCommand());

  return sorted({
    stacks: Stacks?.filter(({ StackStatus }) => StackStatus !== "DELETE_COMPLETE").map(
      ({ StackName }) => StackName,
    ),
    queues: QueueUrls?.map((queue) => queue.split("/").at(-1)),
    topics: Topics?.map(({ TopicArn }) => TopicArn),
    subscriptions: Subscriptions?.map(({ Protocol, Endpoint }) => `${Protocol} ${Endpoint}`),
    functions: Functions?.map(({ FunctionName }) => FunctionName),
    eventSources: EventSourceMappings?.map(({ EventSourceArn }) => EventSourceArn),
    apis: apis?.map(({ name }) => name),
    apiKeys: keys?.map(({ name }) => name),
    usagePlans: plans?.map(({ name }) => name),
    buckets: Buckets?.map(({ Name }) => Name),
    tables,
    alarms: MetricAlarms?.map(({ AlarmName }) => AlarmName),
    dashboards: await dashboards(cloudwatch),
    logGroups: logGroups?.map(({ logGroupName }) => logGroupName),
    roles: Roles?.map(({ RoleName }) => RoleName),
    keys: await usableKeys(new KMSClient(reach)),
  });
}

/** By its name: the emulator writes the times of its list of dashboards as no client reads them. */
async function dashboards(cloudwatch: CloudWatchClient): Promise<string[]> {
  const DashboardName = "check-us-east-1";
  try {
    await cloudwatch.send(new GetDashboardCommand({ DashboardName }));
    return [DashboardName];
  } catch (error) {
    if (error instanceof ResourceNotFound) return [];
    throw error;
  }
}

/** A key that is deleted stays for a week in which it cannot be used. */
async function usableKeys(kms: KMSClient): Promise<string[]> {
  const { Keys } = await kms.send(new ListKeysCommand());
  const described = (Keys ?? []).map(
    async ({ KeyId }) => (await kms.send(new DescribeKeyCommand({ KeyId }))).KeyMetadata,
  );
  return (await Promise.all(described)).flatMap((key) => (key?.Enabled ? [key.Description ?? ""] : []));
}

function sorted(found: Record<string, (string | undefined)[] | undefined>): Inventory {
  return Object.fromEntries(
    Object.entries(found).map(([kind, names]) => [kind, (names ?? []).map((name) => name ?? "").sort()]),
  );
}
