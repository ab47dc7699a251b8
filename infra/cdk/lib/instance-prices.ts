// What instances cost, and where each figure was read.

import type { Config, Runtime } from "./config/types.ts";

/** Sources of several prices. */
export const TABLES = "price tables in several public repositories, which agree";
export const PREDECESSOR = "README of the second predecessor";
const BLOG_EC2 = "factualminds.com, EC2 On-Demand Pricing, June 2026";

/** Dollars per hour. Spot prices move all day; where none was read, it is assumed to be half of On-Demand. */
export const INSTANCES: Record<string, { onDemand: number; spot?: number; source: string }> = {
  "g4dn.xlarge": { onDemand: 0.526, source: TABLES },
  "g4dn.4xlarge": { onDemand: 1.204, source: TABLES },
  "g5.xlarge": { onDemand: 1.006, spot: 0.53, source: `${BLOG_EC2}; Spot: ${PREDECESSOR}` },
  "g5.2xlarge": { onDemand: 1.212, spot: 0.4968, source: `${TABLES}; Spot: ${PREDECESSOR}, April 2024` },
  "g5.4xlarge": { onDemand: 1.624, source: TABLES },
  "g6.xlarge": { onDemand: 0.8048, source: TABLES },
  "g6.2xlarge": { onDemand: 0.9776, source: TABLES },
  "g6.4xlarge": { onDemand: 1.3232, source: TABLES },
  "g6e.xlarge": { onDemand: 1.861, source: TABLES },
  "m7g.large": { onDemand: 0.0816, source: BLOG_EC2 },
  "m5.large": { onDemand: 0.096, source: `${PREDECESSOR}, April 2024` },
};

/** Of the price On-Demand, where no Spot price was read. */
const SPOT_SHARE = 0.5;

/** Dollars per hour of a type; undefined if its price is not known. */
export function hourly(type: string, market: "spot" | "on-demand"): number | undefined {
  const known = INSTANCES[type];
  if (!known) return undefined;
  return market === "spot" ? (known.spot ?? known.onDemand * SPOT_SHARE) : known.onDemand;
}

/** The type that the price is of: the first one of the list whose price is known. */
export function pricedType({ instances }: Runtime): string | undefined {
  return instances.types.find((type) => hourly(type, "on-demand") !== undefined);
}

export const marketOf = ({ instances }: Runtime) =>
  instances.purchase === "on-demand" ? "on-demand" : "spot";

/** What an hour of an instance in EKS Auto Mode costs besides: a share of its price On-Demand, also on Spot. */
export const AUTO_MODE_SHARE = 0.12;

export function autoModeHourly({ cluster }: Config, type: string): number {
  return cluster.nodes === "auto" ? AUTO_MODE_SHARE * (hourly(type, "on-demand") ?? 0) : 0;
}

/**
 * What an hour of a runtime's instance costs, in US dollars: as configured, or else the list price of its first type
 * whose price is known, with the fee of EKS Auto Mode. Undefined if there is none.
 */
export function hourlyPrice(config: Config, runtime: Runtime): number | undefined {
  if (runtime.hourlyPrice !== undefined) return runtime.hourlyPrice;
  const type = pricedType(runtime);
  if (type === undefined) return undefined;
  return (hourly(type, marketOf(runtime)) ?? 0) + autoModeHourly(config, type);
}
