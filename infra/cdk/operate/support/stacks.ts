// The two stacks of a deployment, as CloudFormation describes them.

import {
  CloudFormationClient,
  DeleteStackCommand,
  DescribeStacksCommand,
  paginateDescribeStackEvents,
  paginateListStackResources,
  type Stack,
} from "@aws-sdk/client-cloudformation";

import type { Config } from "../../lib/config/types.ts";
import { aws, isAbsent } from "./aws.ts";
import { say } from "./console.ts";
import { Failure } from "./failure.ts";

const DELETE_POLL_MS = 5000;

export const serviceStack = (config: Config) => `${config.name}-service`;
export const clusterStack = (config: Config) => `${config.name}-cluster`;

/** A new cluster has the deployment's name. */
export const clusterName = (config: Config) => config.cluster.existing ?? config.name;

/** The names of the stacks' outputs; the last one is of the cluster's stack. */
export type Output = "ApiUrl" | "ApiKeys" | "ResultsBucket" | "RecordsTable" | "Zones";

export function outputOf(stack: Stack, output: Output): string | undefined {
  return stack.Outputs?.find(({ OutputKey }) => OutputKey === output)?.OutputValue;
}

export class Stacks {
  constructor(readonly client: CloudFormationClient) {}

  static of(config: Config): Stacks {
    return new Stacks(new CloudFormationClient(aws(config)));
  }

  async find(name: string): Promise<Stack | undefined> {
    try {
      const { Stacks: found } = await this.client.send(new DescribeStacksCommand({ StackName: name }));
      return found?.find((stack) => stack.StackStatus !== "DELETE_COMPLETE");
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
  }

  /** An output that must be there; what is missing was deployed by another version, or not at all. */
  async output(name: string, output: Output): Promise<string> {
    const stack = await this.find(name);
    if (!stack) throw new Failure(`the stack \`${name}\` does not exist; \`infra/operate deploy\` makes it`);
    const value = outputOf(stack, output);
    if (!value) throw new Failure(`the stack \`${name}\` (${stack.StackStatus}) has no output \`${output}\``);
    return value;
  }

  /** The physical ids of a stack's resources of one type. */
  async resources(name: string, type: string): Promise<string[]> {
    const ids: string[] = [];
    for await (const page of paginateListStackResources({ client: this.client }, { StackName: name })) {
      for (const { ResourceType, PhysicalResourceId } of page.StackResourceSummaries ?? []) {
        if (ResourceType === type && PhysicalResourceId) ids.push(PhysicalResourceId);
      }
    }
    return ids;
  }

  /**
   * Deletes a stack and waits for it. By CloudFormation itself: CDK would need everything that a deployment
   * needs.
   */
  async delete(name: string): Promise<void> {
    const StackName = (await this.find(name))?.StackId;
    if (!StackName) return;
    const begun = new Date();
    say(`deleting the stack ${name}`);
    await this.client.send(new DeleteStackCommand({ StackName }));
    for (;;) {
      // By its id, so that it is still found when it is gone.
      const stack = await this.find(StackName);
      if (!stack) return;
      if (stack.StackStatus === "DELETE_FAILED") {
        throw new Failure(
          `${name} could not be deleted:\n${(await this.failures(StackName, begun)).join("\n")}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, DELETE_POLL_MS));
    }
  }

  private async failures(StackName: string, since: Date): Promise<string[]> {
    const lines: string[] = [];
    for await (const page of paginateDescribeStackEvents({ client: this.client }, { StackName })) {
      for (const event of page.StackEvents ?? []) {
        if ((event.Timestamp ?? since) < since || event.ResourceStatus !== "DELETE_FAILED") continue;
        lines.push(`  ${event.ResourceType} ${event.LogicalResourceId}: ${event.ResourceStatusReason ?? ""}`);
      }
    }
    return lines;
  }
}
