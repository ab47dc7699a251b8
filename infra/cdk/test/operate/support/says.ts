import type { Config } from "../../../lib/config/types.ts";
import type { Check } from "../../../operate/preflight/finding.ts";

/** `verdict: detail` of each finding. */
export async function says(check: Check, config: Config): Promise<string[]> {
  return (await check(config)).map(({ verdict, detail }) => `${verdict}: ${detail}`);
}
