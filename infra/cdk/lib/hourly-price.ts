import type { Runtime } from "./config/types.ts";
import { marketOf, pricedType } from "../operate/costs/per-million.ts";
import { hourly } from "../operate/costs/prices.ts";

/**
 * What an hour of a runtime's instance costs, in US dollars: as configured, or else the list price of its first type
 * whose price is known. Undefined if there is none.
 */
export function hourlyPrice(runtime: Runtime): number | undefined {
  if (runtime.hourlyPrice !== undefined) return runtime.hourlyPrice;
  const type = pricedType(runtime);
  return type === undefined ? undefined : hourly(type, marketOf(runtime));
}
