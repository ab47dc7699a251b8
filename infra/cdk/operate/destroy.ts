import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { EC2Client, paginateDescribeInstances } from "@aws-sdk/client-ec2";
import { S3Client } from "@aws-sdk/client-s3";

import { load } from "../lib/config/load.ts";
import type { Config } from "../lib/config/types.ts";
import { nodePools } from "../lib/node-pools.ts";
import { deleteBucket } from "./destroy/bucket.ts";
import { deleteTable, tableExists } from "./destroy/table.ts";
import { bucketRegion } from "./preflight/models.ts";
import { aws, s3 } from "./support/aws.ts";
import type { Command } from "./support/command.ts";
import { confirm, say } from "./support/console.ts";
import { clusterName, clusterStack, outputOf, serviceStack, Stacks } from "./support/stacks.ts";

export const command: Command = {
  help: `Destroys the deployment, but for the model bucket and, by default, the results and the records of tasks.
The cluster's stack goes first, in it the runtimes' releases, then all GPU nodes, and only then what ends them; the
service's stack follows. Tasks that wait in queues are lost. The results bucket and the table of records stay unless
\`--delete-results\` says otherwise, or they were deployed with \`results.keepOnDestroy: false\`; the model bucket always
stays.`,
  options: {
    yes: { type: "boolean", description: "do not ask" },
    "delete-results": {
      type: "boolean",
      description: "delete the results bucket, the table of records and what is in them",
    },
  },
  async run({ file, values }) {
    const config = load(file);
    const stacks = Stacks.of(config);
    const deleteResults = values["delete-results"] === true;
    const results =
      deleteResults || (await losesResults(config, stacks))
        ? "all results and records are deleted"
        : "results and records stay";
    const question = `Destroy ${config.name} in ${config.region}? Waiting tasks are lost; ${results}`;
    if (values["yes"] !== true) await confirm(question, config.name);
    await destroy(config, stacks, deleteResults);
  },
};

export async function destroy(config: Config, stacks: Stacks, deleteResults: boolean): Promise<void> {
  // Before the stack is gone, since only the stack has the names that CloudFormation made up.
  const service = await stacks.find(serviceStack(config));
  const bucket = service && outputOf(service, "ResultsBucket");
  const records = service && outputOf(service, "RecordsTable");
  if (!service && !(await stacks.find(clusterStack(config)))) say(`nothing of ${config.name} is deployed`);
  await stacks.delete(clusterStack(config));
  await stacks.delete(serviceStack(config));

  const client = new S3Client(s3(config));
  if (bucket && deleteResults && (await deleteBucket(client, bucket))) say(`deleted the bucket ${bucket}`);
  const tables = new DynamoDBClient(aws(config));
  if (records && deleteResults && (await deleteTable(tables, records))) say(`deleted the table ${records}`);

  const left: Left = {};
  if (bucket && (await bucketRegion(client, bucket)) !== undefined) left.bucket = bucket;
  if (records && (await tableExists(tables, records))) left.records = records;
  say(await whatStays(config, left));
}

/** What outlived the service's stack. */
interface Left {
  bucket?: string;
  records?: string;
}

/**
 * As it was deployed, whatever the configuration says by now: CDK's way to empty a bucket is a resource of
 * its own.
 */
export async function losesResults(config: Config, stacks: Stacks): Promise<boolean> {
  if (!(await stacks.find(serviceStack(config)))) return false;
  return (await stacks.resources(serviceStack(config), "Custom::S3AutoDeleteObjects")).length > 0;
}

async function whatStays(config: Config, { bucket, records }: Left): Promise<string> {
  const { images, imageCache, name, region } = config;
  const nodes = await leftNodes(config);
  return [
    "\nwhat stays, and is billed:",
    `  s3://${config.modelBucket}: the models`,
    ...(bucket ? [`  s3://${bucket}: the results; \`aws s3 rb --force s3://${bucket}\` deletes them`] : []),
    ...(records
      ? [`  the table ${records}: the records of tasks, which expire; it is protected against deletion`]
      : []),
    ...(isEcr(images.registry)
      ? [`  the images in ${images.registry ?? `the ECR repositories ${name}/*`}`]
      : []),
    ...(imageCache.snapshot ? [`  the snapshot ${imageCache.snapshot}`] : []),
    `  CDK's own stack CDKToolkit in ${region}, which other applications may use`,
    ...nodes.map((id) => `  the instance ${id}, ${howItEnds(config)}`),
  ].join("\n");
}

/** Whether AWS bills what is in it; without a name it is the account's own registry. */
const isEcr = (registry: string | undefined) =>
  registry === undefined || /^\d{12}\.dkr[.-]ecr[.-]/.test(registry);

/** GPU nodes that outlived their Karpenter. The stack waits for them; this is for when it could not. */
async function leftNodes(config: Config): Promise<string[]> {
  const client = new EC2Client(aws(config));
  const Filters = [...ours(config), { Name: "instance-state-name", Values: ["pending", "running"] }];
  const left: string[] = [];
  // An account may hide instances that EKS Auto Mode manages.
  const query = { Filters, IncludeManagedResources: true };
  for await (const page of paginateDescribeInstances({ client }, query)) {
    for (const { Instances = [] } of page.Reservations ?? []) {
      left.push(...Instances.flatMap(({ InstanceId }) => InstanceId ?? []));
    }
  }
  return left;
}

/** How EC2 knows the nodes: EKS Auto Mode tags them with their cluster and pool, and may not with the deployment. */
const ours = (config: Config) =>
  config.cluster.nodes === "auto"
    ? [
        { Name: "tag:eks:eks-cluster-name", Values: [clusterName(config)] },
        { Name: "tag:eks:kubernetes-node-pool-name", Values: nodePools(config) },
      ]
    : [{ Name: "tag:darkroom:deployment", Values: [config.name] }];

const howItEnds = ({ cluster: { nodes } }: Config) =>
  nodes === "auto"
    ? "which EKS Auto Mode launched and did not terminate: `kubectl describe nodeclaims` says why"
    : "which Karpenter launched and nobody terminated: terminate it";
