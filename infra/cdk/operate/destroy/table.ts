// A table with everything in it.

import {
  DeleteTableCommand,
  DescribeTableCommand,
  type DynamoDBClient,
  UpdateTableCommand,
  waitUntilTableExists,
  waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";

import { isAbsent } from "../support/aws.ts";

/** How long DynamoDB may take for each change, in seconds; it takes some seconds. */
const WAIT = { minDelay: 1, maxDelay: 5, maxWaitTime: 300 };

export async function tableExists(client: DynamoDBClient, TableName: string): Promise<boolean> {
  try {
    await client.send(new DescribeTableCommand({ TableName }));
    return true;
  } catch (error) {
    if (isAbsent(error)) return false;
    throw error;
  }
}

/** Deletes a table, its deletion protection first; returns whether there was one. */
export async function deleteTable(client: DynamoDBClient, TableName: string): Promise<boolean> {
  if (!(await tableExists(client, TableName))) return false;
  await client.send(new UpdateTableCommand({ TableName, DeletionProtectionEnabled: false }));
  // A table that is being changed cannot be deleted.
  await waitUntilTableExists({ client, ...WAIT }, { TableName });
  await client.send(new DeleteTableCommand({ TableName }));
  await waitUntilTableNotExists({ client, ...WAIT }, { TableName });
  return true;
}
