import {
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";

import { access, type Emulator } from "./emulator.ts";
import type { Json } from "./service.ts";
import { until } from "./until.ts";

/** Queues by their names. */
export class Queues {
  private readonly sqs: SQSClient;

  constructor(emulator: Emulator) {
    this.sqs = new SQSClient(access(emulator));
  }

  async url(name: string): Promise<string> {
    const { QueueUrl } = await this.sqs.send(new GetQueueUrlCommand({ QueueName: name }));
    return QueueUrl ?? "";
  }

  /** One message as it is, hidden for so long. */
  async receive(name: string, hiddenSeconds = 30): Promise<Message | undefined> {
    const options = {
      QueueUrl: await this.url(name),
      VisibilityTimeout: hiddenSeconds,
      MessageSystemAttributeNames: ["ApproximateReceiveCount" as const],
    };
    const { Messages } = await this.sqs.send(new ReceiveMessageCommand(options));
    return Messages?.[0];
  }

  /** The bodies of up to ten messages, taken out of the queue. */
  async takeAll(name: string): Promise<Json[]> {
    const QueueUrl = await this.url(name);
    const { Messages } = await this.sqs.send(
      new ReceiveMessageCommand({ QueueUrl, MaxNumberOfMessages: 10 }),
    );
    for (const { ReceiptHandle } of Messages ?? []) {
      await this.sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    }
    return (Messages ?? []).map(({ Body }) => JSON.parse(Body ?? "null"));
  }

  /** How many messages it has: waiting for a worker, and received by one. */
  async messages(name: string): Promise<{ waiting: number; received: number }> {
    const { Attributes } = await this.sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: await this.url(name), AttributeNames: ["All"] }),
    );
    return {
      waiting: Number(Attributes?.["ApproximateNumberOfMessages"]),
      received: Number(Attributes?.["ApproximateNumberOfMessagesNotVisible"]),
    };
  }

  /** Receives the only message of a queue until the next receive moves it to the dead-letter queue. */
  async exhaust(name: string): Promise<void> {
    await until("the message is received for the last time", async () => {
      const message = await this.receive(name, 0);
      return Number(message?.Attributes?.["ApproximateReceiveCount"]) >= 20 || undefined;
    });
    if (await this.receive(name)) throw new Error(`${name} has a message after its last receive`);
  }

  /** The next body that is wanted, taken out of the queue; others stay hidden for half a minute. */
  async take(name: string, wanted: (body: Json) => boolean, seconds = 60): Promise<Json> {
    return until(
      `a message in ${name}`,
      async () => {
        const message = await this.receive(name);
        const body = JSON.parse(message?.Body ?? "null");
        if (!message || !wanted(body)) return undefined;
        const handle = { QueueUrl: await this.url(name), ReceiptHandle: message.ReceiptHandle };
        await this.sqs.send(new DeleteMessageCommand(handle));
        return body;
      },
      seconds,
    );
  }
}

/** Whether it is SNS's envelope of the task of that id. */
export const isTask = (id: string) => (envelope: Json) =>
  envelope?.Message !== undefined && JSON.parse(envelope.Message).metadata.id === id;

/** Whether it is a notification about the task of that id. */
export const isAbout = (id: string) => (notification: Json) => notification?.id === id;
