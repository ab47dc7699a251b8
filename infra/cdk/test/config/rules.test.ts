import { expect, it } from "vitest";
import { stringify } from "yaml";

import { parse } from "../../lib/config/load.ts";
import { faultsOf } from "./faults.ts";

/** A file that is right, but for what `changes` say. */
function file(changes: object, runtime: object = {}, more: object[] = []): string {
  const sdwebui = { name: "sdruntime", type: "sdwebui", model: "v1-5.safetensors", ...runtime };
  return stringify({
    region: "us-west-2",
    modelBucket: "my-models",
    ...changes,
    runtimes: [sdwebui, ...more],
  });
}

const comfyui = { name: "comfyui", type: "comfyui" };
const existing = {
  existing: "production",
  vpc: "vpc-01234567",
  subnets: ["subnet-01234567"],
  securityGroups: ["sg-01234567"],
};
const snapshot = "snap-0123456789abcdef0";

const cases: [string, string, string[]][] = [
  ["a partition of another region", file({ partition: "aws-cn" }), ["partition"]],
  [
    "a large message in China",
    file({ region: "cn-north-1", cluster: { charts: "oci://mirror" }, api: { messageBytes: 1_048_576 } }),
    ["api.messageBytes"],
  ],
  ["a cache without its snapshot", file({ imageCache: { mode: "snapshot" } }), ["imageCache.snapshot"]],
  ["a snapshot that nobody uses", file({ imageCache: { snapshot } }), ["imageCache.snapshot"]],
  [
    "a rate that EBS does not take",
    file({ imageCache: { mode: "snapshot", snapshot, initializationRate: 50 } }),
    ["imageCache.initializationRate"],
  ],
  [
    "a rate without a snapshot",
    file({ imageCache: { mode: "soci", initializationRate: 300 } }),
    ["imageCache.initializationRate"],
  ],
  [
    "an existing cluster without a place for nodes",
    file({ cluster: { existing: "production" } }),
    ["cluster.vpc", "cluster.subnets", "cluster.securityGroups"],
  ],
  [
    "IRSA without the provider",
    file({ cluster: { ...existing, identity: "irsa" } }),
    ["cluster.oidcProvider"],
  ],
  [
    "results that go before a large task begins",
    file({ results: { lifetimeDays: 4 } }),
    ["results.lifetimeDays"],
  ],
  ["charts from afar in China", file({ region: "cn-north-1" }), ["cluster.charts"]],
  [
    "a Karpenter whose nodes have no role",
    file({ cluster: { ...existing, install: { karpenter: false } } }),
    ["cluster.nodeRole"],
  ],
  ["a new cluster in a given VPC", file({ cluster: { vpc: "vpc-01234567" } }), ["cluster.vpc"]],
  [
    "a new cluster without Karpenter",
    file({ cluster: { install: { karpenter: false } } }),
    ["cluster.install.karpenter"],
  ],
  ["a name twice", file({}, {}, [{ ...comfyui, name: "sdruntime" }]), ["runtimes.1.name"]],
  [
    "a runtime that is called as another's dead letters",
    file({}, {}, [{ ...comfyui, name: "sdruntime-dlq" }]),
    ["runtimes.1.name"],
  ],
  [
    "a runtime that is called as a queue of results",
    file({ subscriptions: { queues: ["shop"] } }, { name: "results-shop" }),
    ["runtimes.0.name"],
  ],
  ["a runtime that is called as what is undelivered", file({}, { name: "undelivered" }), ["runtimes.0.name"]],
  [
    "a model in two places",
    file({}, {}, [{ name: "second", type: "sdwebui", model: "v1-5.safetensors" }]),
    ["runtimes.1"],
  ],
  ["SD WebUI without a model", file({}, { model: undefined }), ["runtimes.0.model"]],
  ["SD WebUI with two jobs at once", file({}, { concurrency: 2 }), ["runtimes.0.concurrency"]],
  ["SD WebUI with nodes", file({}, { nodes: { denied: ["X"] } }), ["runtimes.0.nodes"]],
  ["SD WebUI with workflows", file({}, { taskTypes: ["pipeline"] }), ["runtimes.0.taskTypes"]],
  ["ComfyUI with a model", file({}, {}, [{ ...comfyui, model: "a.ckpt" }]), ["runtimes.1.model"]],
  [
    "ComfyUI with models",
    file({}, {}, [{ ...comfyui, models: ["a.ckpt"] }]),
    ["runtimes.1.models", "runtimes.1.models"],
  ],
  [
    "ComfyUI with a dynamic model",
    file({}, {}, [{ ...comfyui, dynamicModel: true }]),
    ["runtimes.1.dynamicModel"],
  ],
  [
    "ComfyUI with SD WebUI's tasks",
    file({}, {}, [{ ...comfyui, taskTypes: ["text-to-image"] }]),
    ["runtimes.1.taskTypes"],
  ],
  ["further models that are never loaded", file({}, { models: ["b.ckpt"] }), ["runtimes.0.models"]],
  ["more pods at least than at most", file({}, { replicas: { min: 11 } }), ["runtimes.0.replicas"]],
  [
    "a schedule above the most",
    file(
      {},
      { scaling: { schedules: [{ start: "0 8 * * *", end: "0 9 * * *", timezone: "UTC", replicas: 11 }] } },
    ),
    ["runtimes.0.scaling.schedules.0.replicas"],
  ],
  [
    "a schedule of no time",
    file(
      {},
      { scaling: { schedules: [{ start: "0 8 * * *", end: "0 8 * * *", timezone: "UTC", replicas: 1 }] } },
    ),
    ["runtimes.0.scaling.schedules.0"],
  ],
  ["no time to say goodbye", file({}, { deadlines: { drain: 105 } }), ["runtimes.0.deadlines.grace"]],
  [
    "a run longer than SQS hides a message",
    file({}, { deadlines: { run: 42_000, visibility: 2000 } }),
    ["runtimes.0.deadlines.run"],
  ],
  [
    "a grace that Spot does not give",
    file({}, { deadlines: { drain: 300, grace: 330 } }),
    ["runtimes.0.deadlines.grace"],
  ],
];

it.each(cases)("%s is refused", (_, text, places) => {
  expect(faultsOf(text).map((fault) => fault.split(":")[0])).toEqual(places);
});

it("what is near those is accepted", () => {
  for (const good of [
    file({ partition: "aws", api: { messageBytes: 1_048_576 } }),
    file({ cluster: { ...existing, nodeRole: "nodes", install: { karpenter: false, keda: false } } }),
    file({ imageCache: { mode: "snapshot", snapshot, initializationRate: 300 } }),
    file({}, { dynamicModel: true, models: ["b.ckpt"], replicas: { min: 10, max: 10 } }, [comfyui]),
    file({}, { instances: { purchase: "on-demand" }, deadlines: { drain: 300, grace: 310 } }),
  ]) {
    expect(() => parse(good)).not.toThrow();
  }
});
