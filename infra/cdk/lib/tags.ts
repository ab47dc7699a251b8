import { type App, Tags } from "aws-cdk-lib";

import type { Config } from "./config/types.ts";

/** Tags everything that can be tagged. In China, event source mappings cannot be (Lambda, "China"). */
export function tag(app: App, { name, partition, tags }: Config): void {
  const options = { excludeResourceTypes: partition === "aws-cn" ? ["AWS::Lambda::EventSourceMapping"] : [] };
  for (const [key, value] of Object.entries({ "darkroom:deployment": name, ...tags })) {
    Tags.of(app).add(key, value, options);
  }
}
