// Whose credentials these are, and whether the region is open to them.

import { DescribeRegionsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

import { aws } from "../support/aws.ts";
import { type Check, missing, ok } from "./finding.ts";

export const account: Check = async (config) => {
  const { Account } = await new STSClient(aws(config)).send(new GetCallerIdentityCommand({}));
  const { Regions } = await new EC2Client(aws(config)).send(
    new DescribeRegionsCommand({ AllRegions: true, RegionNames: [config.region] }),
  );
  const status = Regions?.[0]?.OptInStatus;
  return [
    config.account === undefined || config.account === Account
      ? ok(`the credentials belong to ${Account}`)
      : missing(`the credentials belong to ${Account}, the configuration is for ${config.account}`),
    status === "not-opted-in"
      ? missing(
          `${config.region} is not enabled: \`aws account enable-region --region-name ${config.region}\``,
        )
      : ok(`${config.region} is enabled`),
  ];
};
