// GPUs of instance types. Each pod uses one.

import type { Runtime } from "./types.ts";

/** Types with several NVIDIA GPUs, by their number (EC2, "Accelerated computing"). */
const SEVERAL: [RegExp, number][] = [
  [/^(g3\.8xlarge|g7e\.12xlarge)$/, 2],
  [/^(g3\.16xlarge|g4dn\.12xlarge|g[56]e?\.(12|24)xlarge|g7e\.24xlarge|p3\.8xlarge)$/, 4],
  [/^(g4dn\.metal|g[56]e?\.48xlarge|g7e\.48xlarge|p3\.16xlarge|p3dn\.24xlarge|p[456]\w*\.(24|48)xlarge)$/, 8],
];

/** How many GPUs a type has; those that are not known have one. */
export const gpusOf = (type: string): number => SEVERAL.find(([types]) => types.test(type))?.[1] ?? 1;

/**
 * The GPUs that Karpenter may launch for a runtime: one per pod, rounded up to whole nodes of the smallest type. Otherwise the last
 * pods, or all of a small runtime, would wait for a node that exceeds the limit.
 */
export function gpuLimit({ replicas, instances }: Runtime): number {
  const smallest = Math.min(...instances.types.map(gpusOf));
  return Math.ceil(replicas.max / smallest) * smallest;
}
