// Traces: what X-Ray needs before its OTLP endpoint takes spans.

import { isTraced, tracesToXray } from "../../lib/tracing.ts";
import { type Check, note, ok } from "./finding.ts";

export const tracing: Check = async (config) => {
  if (!isTraced(config)) return [ok("off")];
  if (!tracesToXray(config)) return [ok(`sent to ${config.tracing.endpoint}, which pods must reach`)];
  const aws = (what: string) => `\`aws xray ${what} --region ${config.region}\``;
  return [
    note(
      `X-Ray takes spans only with Transaction Search: ${aws("get-trace-segment-destination")} must say ` +
        `CloudWatchLogs; ${aws("update-trace-segment-destination --destination CloudWatchLogs")} enables it`,
    ),
  ];
};
