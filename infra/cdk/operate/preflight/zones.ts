// The zones of a new cluster: EKS refuses some, and some regions give an account two.

import type { Config } from "../../lib/config/types.ts";
import { LEAST_ZONES, zonesFor } from "../support/zones.ts";
import { type Check, type Finding, missing, ok, warning } from "./finding.ts";

export const zones: Check = async (config) => {
  if (config.cluster.existing) return [ok("the existing cluster's")];
  const chosen = await zonesFor(config);
  return [chosen ? judged(config, chosen) : ok("made by the deployed stack")];
};

/** Whether these zones suffice for the cluster. */
export function judged(config: Config, chosen: string[]): Finding {
  const text = `EKS accepts ${chosen.join(", ") || "no zone"} in ${config.region}`;
  if (chosen.length < LEAST_ZONES) return missing(`${text}, and needs ${LEAST_ZONES}: choose another region`);
  if (chosen.length < config.cluster.zones)
    return warning(`${text}: ${chosen.length} zones instead of ${config.cluster.zones}`);
  return ok(chosen.join(", "));
}
