import { RemovalPolicy, Validations, aws_dynamodb as dynamodb } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";

/** The indexes of the table, each with its partition key (task-records/README.md). */
export const INDEXES = { by_owner: "owner", unfinished: "unfinished" };

/**
 * The records of tasks. The table is `AWS::DynamoDB::Table`, not a global table: it has one region, and emulators
 * support it.
 *
 * Encryption at rest is DynamoDB's default, with a key that AWS owns: it costs nothing, and no role needs permissions
 * on a key.
 */
export class TaskRecords extends Construct {
  readonly table: dynamodb.Table;

  constructor(scope: Construct, id: string, { config }: { config: Config }) {
    super(scope, id);
    const { keepOnDestroy } = config.results;

    this.table = new dynamodb.Table(this, "Table", {
      partitionKey: text("pk"),
      billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
      timeToLiveAttribute: "expires",
      encryption: dynamodb.TableEncryption.DEFAULT,
      // A table without a name of its own does not collide with one that an earlier deployment left.
      removalPolicy: keepOnDestroy ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
      deletionProtection: keepOnDestroy,
    });
    for (const [indexName, partitionKey] of Object.entries(INDEXES)) {
      this.table.addGlobalSecondaryIndex({
        indexName,
        partitionKey: text(partitionKey),
        sortKey: text("created"),
        projectionType: dynamodb.ProjectionType.KEYS_ONLY,
      });
    }
    Validations.of(this.table).acknowledge({
      id: "AwsSolutions-DDB3",
      reason:
        "Records expire, and the commit of a task is its `.out` file. A restored table would show old states of tasks.",
    });
  }
}

function text(name: string): dynamodb.Attribute {
  return { name, type: dynamodb.AttributeType.STRING };
}
