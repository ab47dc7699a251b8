import type { Config } from "./types.ts";

/** Whether the stack installs Karpenter. EKS Auto Mode has its own, whatever `install.karpenter` says. */
export const installsKarpenter = ({ cluster }: Config): boolean =>
  cluster.install.karpenter && cluster.nodes === "karpenter";
