// What only the Kubernetes API of an existing cluster says.

import type { Config } from "../../lib/config/types.ts";
import { connect, type Kubernetes } from "../support/kubernetes.ts";
import { type Finding, warning } from "./finding.ts";

/** What `look` finds by kubectl; a warning that begins with `otherwise` where nobody here may look. */
export async function inCluster(
  config: Config,
  look: (kubernetes: Kubernetes) => Promise<Finding>,
  otherwise: string,
): Promise<Finding> {
  const kubernetes = await connect(config).catch((error: Error) => error);
  if (kubernetes instanceof Error)
    return warning(`${otherwise}, and could not be asked: ${kubernetes.message}`);
  try {
    return await look(kubernetes);
  } finally {
    await kubernetes.close();
  }
}
