// What a rate asks of AWS's quotas, and of the deployment's own limits, in the order of the data path.

import type { Config, Runtime } from "../../lib/config/types.ts";
import type { Fleet } from "./fleet.ts";
import { frontDoor, messages, ownLimits } from "./quotas-of-requests.ts";
import { cluster, storage } from "./quotas-of-pods.ts";
import type { QuotaValue } from "./quota-values.ts";
import type { Workload } from "./workload.ts";

export interface Use {
  what: string;
  arithmetic: string;
  demand: number;
  quota: QuotaValue;
  /** What to do when it is exceeded. */
  remedy: string;
}

export const exceeded = ({ demand, quota }: Use): boolean => demand > quota.value;

export function usesOf(config: Config, runtime: Runtime, work: Workload, fleet: Fleet): Use[] {
  return [
    ...ownLimits(config, work, fleet),
    ...frontDoor(config, work, fleet),
    ...messages(config, runtime, fleet),
    ...storage(config, work, fleet),
    ...cluster(config, runtime, fleet),
  ];
}
