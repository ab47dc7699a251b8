import type { Stack } from "aws-cdk-lib";
import { AwsSolutionsChecks, ServerlessChecks } from "cdk-nag";

/** What cdk-nag finds in a stack that nobody gave a reason for: each rule, and where it is broken. */
export function findings(stack: Stack): { rule: string; where: (string | undefined)[] }[] {
  return [new AwsSolutionsChecks(), new ServerlessChecks()].flatMap((pack) =>
    pack.validateScope(stack).violations.map(({ ruleName, violatingResources }) => ({
      rule: ruleName,
      where: violatingResources.map(({ constructPath }) => constructPath),
    })),
  );
}
