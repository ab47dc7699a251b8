// The container images, where they lie in this account's registry.

import { DescribeImagesCommand, ECRClient } from "@aws-sdk/client-ecr";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";

import type { Config } from "../../lib/config/types.ts";
import { aws, isAbsent } from "../support/aws.ts";
import { type Check, type Finding, missing, ok, warning } from "./finding.ts";

export const images: Check = async (config) => {
  const { Account } = await new STSClient(aws(config)).send(new GetCallerIdentityCommand({}));
  const ecr = new ECRClient(aws(config));
  return Promise.all(
    wantedImages(config, Account ?? "").map((image) => inspect(ecr, image, config, Account ?? "")),
  );
};

/** The images that the pods of a deployment are made of. */
export function wantedImages(config: Config, account: string): string[] {
  const suffix = config.partition === "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com";
  const registry = config.images.registry ?? `${account}.dkr.ecr.${config.region}.${suffix}/${config.name}`;
  const runtimes = config.runtimes.map(
    ({ image, type }) => image ?? `${registry}/${type}:${config.images.tag}`,
  );
  return [...new Set([`${registry}/worker:${config.images.tag}`, ...runtimes])];
}

/** <account>.dkr.ecr.<region>.<suffix>/<repository>:<tag>, or with @<digest>. */
const ECR_IMAGE = /^(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?\/([^:@]+)(?::([^@]+)|@(.+))?$/;

async function inspect(ecr: ECRClient, image: string, config: Config, account: string): Promise<Finding> {
  const [, owner, region, repositoryName, tag = "latest", digest] = ECR_IMAGE.exec(image) ?? [];
  if (owner !== account || region !== config.region) {
    return warning(`${image} is not in this account's registry in ${config.region}, and was not looked for`);
  }
  const imageIds = [digest ? { imageDigest: digest } : { imageTag: tag }];
  try {
    await ecr.send(new DescribeImagesCommand({ repositoryName, imageIds }));
    return ok(`${image} is there`);
  } catch (error) {
    if (isAbsent(error))
      return missing(
        `${image} does not exist: \`infra/images/build\` builds and pushes images, \`images.registry\` can name those of a release`,
      );
    throw error;
  }
}
