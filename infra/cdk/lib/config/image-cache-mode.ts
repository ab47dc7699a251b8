import type { Config, Runtime } from "./types.ts";

/** Families with NVIDIA GPUs and x86_64 processors, but without an instance store (EC2, "Accelerated computing"). */
const WITHOUT_STORE = /^(g3s?|p2|p3)\./;

/** How the nodes of a runtime come by its images: `auto` is decided by its instance types. */
export function imageCacheMode(
  { imageCache, cluster }: Config,
  { instances }: Runtime,
): "none" | "snapshot" | "soci" {
  if (imageCache.mode !== "auto") return imageCache.mode;
  // EKS Auto Mode pulls in parallel by itself.
  if (cluster.nodes === "auto") return "none";
  return instances.types.some((type) => WITHOUT_STORE.test(type)) ? "none" : "soci";
}
