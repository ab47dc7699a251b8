// Interface endpoints of an existing VPC: their addresses are private, so the pods' network policy has to open them.

import { BlockList } from "node:net";

import { DescribeSubnetsCommand, EC2Client, paginateDescribeVpcEndpoints } from "@aws-sdk/client-ec2";

import type { Config } from "../../lib/config/types.ts";
import { aws } from "../support/aws.ts";
import { type Check, missing, ok } from "./finding.ts";

/** The services that workers call. */
const SERVICES = ["sqs", "sns", "sts", "s3", "dynamodb", "logs", "monitoring", "xray"];

export const endpoints: Check = async (config) => {
  if (!config.cluster.existing) return [ok("a new VPC has none")];
  const client = new EC2Client(aws(config));
  const found = await interfaceEndpoints(client, config);
  if (found.size === 0) return [ok(`${config.cluster.vpc} has none of services that pods call`)];
  const subnets = [...new Set([...found.values()].flat())];
  const { Subnets = [] } = await client.send(new DescribeSubnetsCommand({ SubnetIds: subnets }));
  const blockOf = new Map(Subnets.map(({ SubnetId = "", CidrBlock = "" }) => [SubnetId, CidrBlock]));
  return [...found].map(([service, ids]) => {
    const blocks = [...new Set(ids.map((id) => blockOf.get(id) ?? id))].sort();
    const closed = blocks.filter((block) => !isOpen(block, config.cluster.egressNetworks));
    const text = `pods call ${service} by an interface endpoint in ${blocks.join(", ")}`;
    return closed.length === 0
      ? ok(text)
      : missing(
          `${text}, which their network policy closes: add ${closed.join(", ")} to \`cluster.egressNetworks\``,
        );
  });
};

/** The subnets of interface endpoints that answer under a service's usual name, by service. */
async function interfaceEndpoints(client: EC2Client, config: Config): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const query = { Filters: [{ Name: "vpc-id", Values: [config.cluster.vpc ?? ""] }] };
  for await (const page of paginateDescribeVpcEndpoints({ client }, query)) {
    for (const {
      ServiceName = "",
      VpcEndpointType,
      PrivateDnsEnabled,
      SubnetIds = [],
    } of page.VpcEndpoints ?? []) {
      const service = ServiceName.split(".").at(-1) ?? "";
      if (VpcEndpointType !== "Interface" || PrivateDnsEnabled === false || !SERVICES.includes(service))
        continue;
      found.set(service, [...(found.get(service) ?? []), ...SubnetIds]);
    }
  }
  return found;
}

/** Whether a network contains the whole block. */
function isOpen(block: string, networks: string[]): boolean {
  const [address = "", bits = ""] = block.split("/");
  return networks.some((network) => {
    const [base = "", prefix = ""] = network.split("/");
    const list = new BlockList();
    list.addSubnet(base, Number(prefix));
    return Number(prefix) <= Number(bits) && list.check(address);
  });
}
