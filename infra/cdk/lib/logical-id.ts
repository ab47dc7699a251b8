import { type CfnElement, Stack } from "aws-cdk-lib";
import type { Construct } from "constructs";

/** What a construct's resource is called in the template, and so in findings of cdk-nag about it. */
export function logicalId(construct: Construct): string {
  return Stack.of(construct).getLogicalId(construct.node.defaultChild as CfnElement);
}
