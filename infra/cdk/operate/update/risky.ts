// What in the output of `cdk diff` an operator must not overlook.

export interface Change {
  type: string;
  /** The logical id. */
  id: string;
  fate: "destroyed" | "replaced" | "perhaps replaced";
}

/**
 * Types whose loss is more than a pause: tasks, results, records, keys that clients have, and the cluster
 * with its network.
 */
const KEPT = [
  "AWS::SQS::Queue",
  "AWS::SNS::Topic",
  "AWS::S3::Bucket",
  "AWS::DynamoDB::Table",
  "AWS::ApiGateway::RestApi",
  "AWS::ApiGateway::ApiKey",
  "AWS::EKS::Cluster",
  "AWS::EC2::VPC",
  "AWS::EC2::Subnet",
];

const FATES = {
  destroy: "destroyed",
  orphan: undefined,
  replace: "replaced",
  "may be replaced": "perhaps replaced",
} as const;

/** `[-] AWS::SQS::Queue Bus/Queue BusQueueABC destroy`, as the pinned CLI prints a resource. */
const LINE = /^\[[-~]\] (AWS::\S+) .*?(\S+) (destroy|orphan|replace|may be replaced)$/;

export function risky(diff: string): Change[] {
  return diff.split("\n").flatMap((line) => {
    const [, type, id, word] = LINE.exec(line.trim()) ?? [];
    if (!type || !id || !word || !KEPT.includes(type)) return [];
    const fate = FATES[word as keyof typeof FATES];
    return fate ? [{ type, id, fate }] : [];
  });
}
