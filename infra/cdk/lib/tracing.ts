import { type aws_apigateway as apigateway, aws_xray as xray, Stack } from "aws-cdk-lib";
import { Construct } from "constructs";

import type { Config } from "./config/types.ts";

/** Whether functions and workers export spans. X-Ray's endpoint was not verified in China. */
export const isTraced = ({ tracing, partition }: Config): boolean =>
  tracing.enabled ?? partition !== "aws-cn";

/** Whether the spans go to X-Ray itself, which needs a permission, and not to an agent. */
export const tracesToXray = (config: Config): boolean =>
  isTraced(config) && config.tracing.endpoint === undefined;

/** The variables of OpenTelemetry by which a program exports spans; none where traces are off. */
export function tracingVariables(config: Config): Record<string, string> {
  if (!isTraced(config)) return {};
  const domain = config.partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  return {
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT:
      config.tracing.endpoint ?? `https://xray.${config.region}.${domain}/v1/traces`,
    // API Gateway decides (`TraceSampling`), and SNS and SQS carry the decision on. The share is for tasks without one, such as
    // those of a predecessor's front door.
    OTEL_TRACES_SAMPLER: "parentbased_traceidratio",
    OTEL_TRACES_SAMPLER_ARG: String(config.tracing.share),
  };
}

/** The share of the requests of an API whose traces are recorded: X-Ray's rule for API Gateway, which decides first. */
export class TraceSampling extends Construct {
  constructor(scope: Construct, id: string, config: Config, apis: Record<string, apigateway.RestApi>) {
    super(scope, id);
    Object.entries(apis).forEach(([name, api], n) => {
      new xray.CfnSamplingRule(this, name, {
        samplingRule: {
          ruleName: `${config.name}-${name}`,
          version: 1,
          priority: 1000 + n,
          fixedRate: config.tracing.share,
          // Beyond the share: X-Ray would otherwise record one request each second.
          reservoirSize: 0,
          resourceArn: Stack.of(this).formatArn({
            service: "apigateway",
            account: "",
            resource: `/restapis/${api.restApiId}/stages/${api.deploymentStage.stageName}`,
          }),
          host: "*",
          httpMethod: "*",
          serviceName: "*",
          serviceType: "*",
          urlPath: "*",
        },
      });
    });
  }
}
