// The cluster, by way of kubectl with a kubeconfig of its own. Signing in is the AWS CLI's.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { Config } from "../../lib/config/types.ts";
import { Failure } from "./failure.ts";
import { capture } from "./programs.ts";
import { clusterName } from "./stacks.ts";

export interface Kubernetes {
  /** What `kubectl get ... -o json` prints. */
  get<T>(...args: string[]): Promise<{ items: T[] }>;
  close(): Promise<void>;
}

/**
 * Signs in with the caller's credentials, which need an access entry: deploying does not make an administrator for
 * that.
 */
export async function connect(config: Config): Promise<Kubernetes> {
  const cluster = clusterName(config);
  const folder = await mkdtemp(join(tmpdir(), "darkroom-"));
  const env = { KUBECONFIG: join(folder, "kubeconfig"), AWS_REGION: config.region };
  const kubectl = (...args: string[]) => capture("kubectl", args, { env });
  const close = () => rm(folder, { recursive: true });
  try {
    await capture("aws", [
      "eks",
      "update-kubeconfig",
      "--name",
      cluster,
      "--region",
      config.region,
      "--kubeconfig",
      env.KUBECONFIG,
    ]);
    await kubectl("get", "pods", "--namespace", config.name, "--output", "name");
  } catch (error) {
    await close();
    throw new Failure(`${(error as Error).message}\n${howToEnter(config, cluster)}`);
  }
  return { get: async (...args) => JSON.parse(await kubectl("get", ...args, "--output", "json")), close };
}

const howToEnter = ({ region, partition }: Config, cluster: string) => `
Whoever looks into the cluster is one of \`cluster.administrators\`, or has an access entry that lets them look:
  aws eks create-access-entry --region ${region} --cluster-name ${cluster} --principal-arn <your role>
  aws eks associate-access-policy --region ${region} --cluster-name ${cluster} --principal-arn <your role> \\
    --access-scope type=cluster --policy-arn arn:${partition}:eks::aws:cluster-access-policy/AmazonEKSAdminViewPolicy`;
