// One task from nothing to its image, watched from outside.

import type { S3Client } from "@aws-sdk/client-s3";

import type { Config, Runtime } from "../../lib/config/types.ts";
import { nodePool } from "../../lib/node-pools.ts";
import { type Door, post } from "../submit/post.ts";
import { awaitOut } from "../submit/result.ts";
import { firstTask, PREFIX } from "../submit/first-task.ts";
import { say } from "../support/console.ts";
import { Failure } from "../support/failure.ts";
import type { Kubernetes } from "../support/kubernetes.ts";
import type { Node, NodeClaim, Pod, PodEvent } from "./kubernetes-objects.ts";
import type { Observation } from "./stages.ts";

const POLL_MS = 15_000;
const IMAGE_TIMEOUT_SECONDS = 3600;

/** Longer than the last pod stays without tasks, and its node without pods. */
const ZERO_TIMEOUT_SECONDS = 3600;

export class Scene {
  constructor(
    private readonly config: Config,
    private readonly runtime: Runtime,
    private readonly kubernetes: Kubernetes,
    private readonly door: Door,
    private readonly s3: S3Client,
    private readonly bucket: string,
  ) {}

  /** Waits until the runtime has neither pods nor nodes. */
  async zero(): Promise<void> {
    const until = Date.now() + ZERO_TIMEOUT_SECONDS * 1000;
    for (;;) {
      const [pods, nodes] = [await this.pods(), await this.nodeClaims()];
      if (pods.length + nodes.length === 0) return;
      if (Date.now() > until)
        throw new Failure(
          `${this.runtime.name} does not scale to zero: ${pods.length} pods, ${nodes.length} nodes`,
        );
      say(`waiting for zero: ${pods.length} pods, ${nodes.length} nodes`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Submits a task, waits for its image, and looks at what Kubernetes remembers. */
  async play(id: string): Promise<Observation> {
    const submitted = Date.now();
    await post(this.door, firstTask(this.config, this.runtime, id));
    const { at, notification } = await awaitOut(
      this.s3,
      this.bucket,
      `${PREFIX}/${id}/`,
      IMAGE_TIMEOUT_SECONDS,
    );
    if (notification.task_status !== "succeeded") {
      throw new Failure(`${id} ${notification.task_status}: ${notification.error?.message ?? ""}`);
    }
    say(
      `an image after ${Math.round((at.getTime() - submitted) / 1000)} s: ${JSON.stringify(notification.timings)}`,
    );
    return { submitted, stored: at.getTime(), ...(await this.remembered()) };
  }

  private async remembered(): Promise<Omit<Observation, "submitted" | "stored">> {
    const [pod] = (await this.pods()).sort((a, b) =>
      a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp),
    );
    if (!pod?.spec.nodeName) throw new Failure("the pod that made the image is gone already");
    const name = pod.spec.nodeName;
    const nodes = (await this.kubernetes.get<Node>("nodes")).items;
    const node = nodes.find(({ metadata }) => metadata.name === name);
    if (!node) throw new Failure(`the node ${name} is gone already`);
    const nodeClaim = (await this.nodeClaims()).find(({ status }) => status.nodeName === name);
    const selector = `involvedObject.name=${pod.metadata.name}`;
    const { items: events } = await this.kubernetes.get<PodEvent>(
      "events",
      "--namespace",
      this.config.name,
      "--field-selector",
      selector,
    );
    return { pod, node, nodeClaim, events };
  }

  private async pods(): Promise<Pod[]> {
    const label = `app.kubernetes.io/instance=${this.runtime.name}`;
    return (await this.kubernetes.get<Pod>("pods", "--namespace", this.config.name, "--selector", label))
      .items;
  }

  private async nodeClaims(): Promise<NodeClaim[]> {
    const label = `karpenter.sh/nodepool=${nodePool(this.config, this.runtime)}`;
    return (await this.kubernetes.get<NodeClaim>("nodeclaims.karpenter.sh", "--selector", label)).items;
  }
}
