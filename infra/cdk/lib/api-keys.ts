import { aws_apigateway as apigateway } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";

export interface ApiKeysProps {
  config: Config;
  stage: apigateway.Stage;
}

/** The API keys, and how much each may ask for. API Gateway makes their values up; no template has them. */
export class ApiKeys extends Construct {
  /** The ids of the keys, by the names in the configuration. */
  readonly ids: Record<string, string> = {};
  /** What bounds each key, at the stages that are added to it. */
  readonly plan: apigateway.UsagePlan;

  constructor(scope: Construct, id: string, { config, stage }: ApiKeysProps) {
    super(scope, id);
    const { name, api } = config;

    // Throttle and quota are counted per key, not for the plan as a whole.
    this.plan = new apigateway.UsagePlan(this, "Plan", {
      name,
      throttle: { rateLimit: api.ratePerSecond, burstLimit: api.burst },
      quota:
        api.requestsPerDay > 0 ? { limit: api.requestsPerDay, period: apigateway.Period.DAY } : undefined,
      apiStages: [{ api: stage.restApi, stage }],
    });
    for (const keyName of api.keys) {
      const key = new apigateway.ApiKey(this, `Key-${keyName}`, {
        apiKeyName: `${name}-${keyName}`,
        description: `For ${keyName}`,
      });
      this.plan.addApiKey(key);
      this.ids[keyName] = key.keyId;
    }
  }
}
