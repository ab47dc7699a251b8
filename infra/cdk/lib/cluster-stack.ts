import {
  type aws_sqs as sqs,
  aws_s3_assets as assets,
  CfnOutput,
  Fn,
  Stack,
  type StackProps,
} from "aws-cdk-lib";
import type { Construct, IDependable } from "constructs";

import { acknowledgeAssetReads } from "./cluster/acknowledged.ts";
import { Administrators } from "./cluster/administrators.ts";
import { NewCluster } from "./cluster/eks.ts";
import { ExistingCluster } from "./cluster/existing.ts";
import { GpuNodesGone } from "./cluster/gpu-nodes-gone.ts";
import { Platform } from "./cluster/platform.ts";
import { RuntimeRelease } from "./cluster/runtime-release.ts";
import { CHART } from "./cluster/runtime-values.ts";
import { WorkerAlarms } from "./cluster/worker-alarms.ts";
import { WorkerMetrics } from "./cluster/worker-metrics.ts";
import { WorkerRole } from "./cluster/worker-role.ts";
import type { Config, Runtime } from "./config/types.ts";
import type { ServiceHandover } from "./handover.ts";
import { tracesToXray } from "./tracing.ts";

export interface ClusterStackProps extends StackProps {
  config: Config;
  service: ServiceHandover;
  /** The names of a new cluster's zones. Without them EC2's first ones are taken, some of which EKS refuses. */
  zones?: string[];
}

/**
 * The cluster, new or existing, what it needs to run GPU pods, and a release of the chart for each runtime.
 */
export class ClusterStack extends Stack {
  private readonly config: Config;
  private readonly zones: string[];

  constructor(scope: Construct, id: string, { config, service, zones, ...props }: ClusterStackProps) {
    super(scope, id, { description: "Darkroom: cluster and runtimes", ...props });
    this.config = config;
    this.zones = zones ?? firstZones(config.cluster.zones);
    // Later deployments read it, so that subnets stay where they are.
    if (!config.cluster.existing) new CfnOutput(this, "Zones", { value: this.zones.join(",") });
    const { bucket, records, completions } = service;
    const runtimes = config.runtimes.map((runtime) => ({
      runtime,
      queue: queueOf(runtime, service),
      // The service account has the runtime's name, as its release does.
      account: { namespace: config.name, name: runtime.name },
    }));

    const target = config.cluster.existing
      ? new ExistingCluster(this, "Existing", config)
      : new NewCluster(this, "New", config);
    const platform = new Platform(this, "Platform", {
      config,
      target,
      queues: runtimes.map(({ queue }) => queue),
    });
    new Administrators(this, "Administrators", target, config.cluster.administrators);
    const { identity } = config.cluster;
    const metrics = config.metrics.enabled
      ? new WorkerMetrics(this, "WorkerMetrics", config).logGroup
      : undefined;
    const workers = runtimes.map((each) => ({
      ...each,
      role: new WorkerRole(this, `Worker-${each.runtime.name}`, {
        ...each,
        target,
        identity,
        bucket,
        records,
        completions,
        metrics,
        traces: tracesToXray(config),
      }),
    }));

    new WorkerAlarms(this, "WorkerAlarms", { config, queues: service.queues });

    const last = this.lastDeleted([...target.ready, platform, ...workers.map(({ role }) => role)], platform);

    const chart = new assets.Asset(this, "Chart", { path: CHART, exclude: ["ci", "unittests", "README.md"] });
    acknowledgeAssetReads(target, chart.bucket.arnForObjects("*"));
    for (const { role, ...each } of workers) {
      const release = new RuntimeRelease(this, `Runtime-${each.runtime.name}`, {
        ...each,
        config,
        target,
        chart,
        bucket,
        records,
        completions,
        registry: this.registry(),
        annotations: role.annotations,
        nodeRoleName: platform.nodeRoleName,
      });
      release.node.addDependency(...last);
    }
  }

  /** What releases stand on: a wait for GPU nodes, unless they end with the cluster, as those of a new one in EKS Auto Mode do. */
  private lastDeleted(needed: IDependable[], platform: Platform): IDependable[] {
    const { nodes, existing } = this.config.cluster;
    if (nodes === "auto" && !existing) return needed;
    const nodesGone = new GpuNodesGone(this, "GpuNodesGone", {
      config: this.config,
      nodeRole: platform.ownNodeRole,
    });
    nodesGone.node.addDependency(...needed);
    return [nodesGone];
  }

  /** Without this, a stack of a known account asks that account for its zones while it is synthesized. */
  override get availabilityZones(): string[] {
    return this.zones;
  }

  /** What the names of Darkroom's images begin with. */
  private registry(): string {
    const { images, name } = this.config;
    return images.registry ?? `${this.account}.dkr.ecr.${this.region}.${this.urlSuffix}/${name}`;
  }
}

const firstZones = (count: number) => Array.from({ length: count }, (_, n) => Fn.select(n, Fn.getAzs()));

function queueOf(runtime: Runtime, service: ServiceHandover): sqs.IQueue {
  const queue = service.queues[runtime.name];
  if (!queue) throw new Error(`${runtime.name}: the service's stack has no queue for it`);
  return queue;
}
