import type { aws_iam as iam, aws_sqs as sqs } from "aws-cdk-lib";
import { Construct } from "constructs";

import { installsKarpenter } from "../config/installs-karpenter.ts";
import type { Config } from "../config/types.ts";
import { AutoModeNodeRole } from "./auto-mode.ts";
import { GpuNodeRole } from "./gpu-node-role.ts";
import { Karpenter } from "./karpenter.ts";
import { Keda } from "./keda.ts";
import { ModelsDriver } from "./models-driver.ts";
import { Observability } from "./observability.ts";
import { PoliciesToAttach } from "./policies-to-attach.ts";
import type { TargetCluster } from "./target.ts";
import { ThirdPartyCharts } from "./third-party-charts.ts";

export interface PlatformProps {
  config: Config;
  target: TargetCluster;
  /** The queues of all runtimes. */
  queues: sqs.IQueue[];
}

/** What runtimes stand on besides the cluster: pods by the queue, nodes by the pods, models, logs. */
export class Platform extends Construct {
  /** The name of the role of GPU nodes, created here or given. */
  readonly nodeRoleName: string;
  /** That role, if it was made here. */
  readonly ownNodeRole?: iam.IRole;

  constructor(scope: Construct, id: string, { config, target, queues }: PlatformProps) {
    super(scope, id);
    const { install, identity, existing, nodeRole, nodes } = config.cluster;
    const charts = new ThirdPartyCharts(config.cluster.charts);

    if (install.keda) new Keda(this, "Keda", { target, identity, charts, queues });
    if (install.modelsDriver) {
      new ModelsDriver(this, "ModelsDriver", { target, identity, modelBucket: config.modelBucket });
    }
    if (install.observability) {
      new Observability(this, "Observability", { target, identity, ownLogGroups: !existing });
    }
    if (installsKarpenter(config)) {
      const { role } = new GpuNodeRole(this, "GpuNodes", target);
      new Karpenter(this, "Karpenter", { deployment: config.name, target, identity, charts, nodeRole: role });
      this.ownNodeRole = role;
    }
    if (nodes === "auto" && existing && !nodeRole) {
      this.ownNodeRole = new AutoModeNodeRole(this, "AutoModeNodes", target).role;
    }
    this.nodeRoleName = this.ownNodeRole?.roleName ?? target.nodeRoleName ?? nodeRole ?? "";
    new PoliciesToAttach(this, "PoliciesToAttach", config, queues);
  }
}
