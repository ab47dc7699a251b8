import { aws_sns as sns } from "aws-cdk-lib";
import type { Construct } from "constructs";

export interface PrivateTopicProps {
  topicName: string;
  /** The largest message that it takes, in bytes. SNS's own is 262144; more only reaches SQS, Lambda and Firehose. */
  maximumMessageSize?: number;
}

/**
 * A topic that is encrypted and reached over TLS only. The key is the one that AWS manages for SNS: whoever in the
 * account may publish may use it, so that predecessors' roles, which know of no key, go on working.
 *
 * With `enforceSSL` the policy that SNS gives every topic is gone, and with it the rights of the account's owner that
 * do not stand in an IAM policy. Publishers here have one.
 */
export class PrivateTopic extends sns.Topic {
  constructor(scope: Construct, id: string, { topicName, maximumMessageSize }: PrivateTopicProps) {
    super(scope, id, { topicName, enforceSSL: true });
    const topic = this.node.defaultChild as sns.CfnTopic;
    topic.kmsMasterKeyId = "alias/aws/sns";
    topic.maximumMessageSize = maximumMessageSize;
  }
}
