import { parse } from "../../../lib/config/load.ts";
import type { Config } from "../../../lib/config/types.ts";

/** The account that moto's credentials belong to. */
export const ACCOUNT = "123456789012";

/** A configuration in us-west-2, out of YAML that is added to the least. */
export function configuration(more = "", runtime = ""): Config {
  return parse(`
region: us-west-2
modelBucket: models
${more}
runtimes:
  - name: sdruntime
    type: sdwebui
    model: v1-5.safetensors
${runtime}
`);
}
