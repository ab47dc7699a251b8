// The fee of EKS Auto Mode, which each instance costs besides EC2's price.

import { autoModeHourly } from "../../lib/instance-prices.ts";
import type { Config } from "../../lib/config/types.ts";
import { line, type Line, plain } from "./line.ts";

/** For these hours of a type. Nothing where Karpenter launches nodes. */
export function autoModeFee(config: Config, of: string, type: string | undefined, hours: number): Line[] {
  if (config.cluster.nodes !== "auto") return [];
  const fee = type === undefined ? 0 : autoModeHourly(config, type);
  return [line(`EKS Auto Mode: ${of}`, `${plain(hours)} h`, hours, fee)];
}
