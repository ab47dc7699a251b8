// `values` of a runtime: what the deployment file has no field for reaches the manifests.

import { describe, expect, it } from "vitest";

import { render, valuesOf } from "./helm.ts";
import { all, example, type Json, release, synth } from "./support.ts";

const scrapers = [{ namespaceSelector: { matchLabels: { team: "metrics" } } }];
const VALUES = {
  runtime: {
    resources: { requests: { cpu: "3", memory: "14Gi" }, limits: { memory: "15Gi" } },
    scratchGiB: 33,
  },
  worker: { markPod: true, resources: { limits: { memory: "3Gi" } } },
  nodes: {
    bottlerocketVersion: "1.67.0",
    consolidateAfter: "7m",
    volumeThroughput: 1000,
    tags: { "cost-center": "4711" },
  },
  networkPolicy: { kubernetesApiCidrs: ["172.20.0.1/32"], metricsFrom: scrapers },
  podMonitor: { enabled: true, intervalSeconds: 15 },
};

describe("values that are passed through", () => {
  const config = example("minimal", ({ runtimes, imageCache }) => {
    runtimes[0]!.values = VALUES;
    imageCache.mode = "none";
  });
  const { template } = synth(config);
  const values = valuesOf(all(template)[release(template, "sdruntime")[0]], "aws", "us-west-2");
  const { manifests } = render("sdruntime", "darkroom", values);
  const specOf = (kind: string): Json => manifests.find((manifest) => manifest.kind === kind)?.spec;
  const pod = specOf("Deployment").template.spec;
  const [runtime, worker] = [pod.initContainers[0], pod.containers[0]];

  it("set the resources of both containers, beside the GPU and the requests of the type", () => {
    expect(runtime.resources).toEqual({
      requests: { cpu: "3", memory: "14Gi" },
      limits: { memory: "15Gi", "nvidia.com/gpu": 1 },
    });
    expect(worker.resources).toMatchObject({ limits: { memory: "3Gi" }, requests: { memory: "256Mi" } });
  });

  it("set the scratch space", () => {
    expect(pod.volumes).toContainEqual({ name: "scratch", emptyDir: { sizeLimit: "33Gi" } });
  });

  it("set the nodes' system, the time that empty ones wait, their disk, and tags beside the deployment's", () => {
    const nodes = specOf("EC2NodeClass");
    expect(nodes.amiSelectorTerms).toEqual([{ alias: "bottlerocket@v1.67.0" }]);
    expect(nodes.blockDeviceMappings[1].ebs.throughput).toBe(1000);
    expect(nodes.tags).toEqual({ "cost-center": "4711", "darkroom:deployment": "darkroom" });
    expect(specOf("NodePool").disruption.consolidateAfter).toBe("7m");
  });

  it("have busy pods marked, Prometheus scrape them, and the network policy let both through", () => {
    expect(worker.env).toContainEqual({ name: "MARK_POD", value: "true" });
    expect(specOf("PodMonitor").podMetricsEndpoints[0].interval).toBe("15s");
    const { ingress, egress } = specOf("NetworkPolicy");
    expect(ingress).toEqual([{ from: scrapers, ports: [{ protocol: "TCP", port: 8390 }] }]);
    expect(egress).toContainEqual({
      to: [{ ipBlock: { cidr: "172.20.0.1/32" } }],
      ports: [{ protocol: "TCP", port: 443 }],
    });
  });
});
