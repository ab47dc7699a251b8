// Service Quotas.

import { GetServiceQuotaCommand, ServiceQuotasClient } from "@aws-sdk/client-service-quotas";

import type { Config } from "../../lib/config/types.ts";
import { aws } from "../support/aws.ts";

export interface Quota {
  service: "ec2" | "vpc";
  code: string;
  name: string;
}

export async function quotaValue(config: Config, { service, code }: Quota): Promise<number> {
  const client = new ServiceQuotasClient(aws(config));
  const { Quota } = await client.send(new GetServiceQuotaCommand({ ServiceCode: service, QuotaCode: code }));
  if (Quota?.Value === undefined) throw new Error(`Service Quotas has no value of ${service}/${code}`);
  return Quota.Value;
}

/** How to ask for more. */
export const request = ({ service, code }: Quota, desired: number) =>
  `\`aws service-quotas request-service-quota-increase --service-code ${service} --quota-code ${code} ` +
  `--desired-value ${desired}\``;
