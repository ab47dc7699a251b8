// What the subscriber of the completion topic got, and whether each task has exactly one terminal state.

import { expect } from "vitest";

import type { Queues } from "../support/queues.ts";
import type { Json, Service } from "../support/service.ts";
import { until } from "../support/until.ts";
import type { Sent } from "./submitter.ts";

const QUEUE = "check-results-shop";

export class Notifications {
  /** By submission. */
  private readonly received = new Map<string, Json[]>();

  constructor(private readonly queues: Queues) {}

  /** The last notification about that task, once there are so many. */
  async about({ id, submission }: Sent, count = 1): Promise<Json> {
    const enough = async () => {
      await this.drain();
      return this.of(submission).length >= count || undefined;
    };
    await until(`${count} notifications about ${id}`, enough, 120);
    return this.of(submission).at(-1);
  }

  /** Expects that exactly these tasks have a terminal state, only one each, and an `.out` file that says the same. */
  async expectOneStateOf(tasks: Sent[], service: Service): Promise<void> {
    await this.drain();
    expect([...this.received.keys()].sort()).toEqual(tasks.map(({ submission }) => submission).sort());
    for (const all of this.received.values()) {
      const [first] = all;
      const out = JSON.parse(await service.stored(first.output_url));
      const states = [...all, out.notification].map(stateOf);
      expect(new Set(states), first.id).toEqual(new Set([stateOf(first)]));
    }
  }

  /** How many there are. */
  get count(): number {
    return [...this.received.values()].flat().length;
  }

  /** How many tasks they are about. */
  get tasks(): number {
    return this.received.size;
  }

  private of(submission: string): Json[] {
    return this.received.get(submission) ?? [];
  }

  private async drain(): Promise<void> {
    for (;;) {
      const bodies = await this.queues.takeAll(QUEUE);
      if (bodies.length === 0) return;
      for (const body of bodies) this.received.set(body.submission, [...this.of(body.submission), body]);
    }
  }
}

const stateOf = ({ notification_id, task_status, output_url }: Json) =>
  [notification_id, task_status, output_url].join(" ");
