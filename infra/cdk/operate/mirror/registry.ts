// The account's own registry, below the name that the configuration gives the mirror.

import {
  CreateRepositoryCommand,
  DescribeRepositoriesCommand,
  ECRClient,
  GetAuthorizationTokenCommand,
} from "@aws-sdk/client-ecr";

import type { Config } from "../../lib/config/types.ts";
import { aws, isAbsent } from "../support/aws.ts";
import { Failure } from "../support/failure.ts";

export interface Login {
  host: string;
  user: string;
  password: string;
}

export class Registry {
  private constructor(
    private readonly client: ECRClient,
    /** <account>.dkr.ecr.<region>.amazonaws.com/<name> */
    readonly prefix: string,
    private readonly tags: { Key: string; Value: string }[],
  ) {}

  static of(config: Config): Registry {
    const prefix = config.cluster.charts?.replace(/^oci:\/\//, "").replace(/\/+$/, "");
    if (!prefix)
      throw new Failure(
        "cluster.charts says where to: oci://<account>.dkr.ecr.<region>.amazonaws.com/<name>",
      );
    if (!/^\d{12}\.dkr\.ecr\./.test(prefix))
      throw new Failure(`${prefix} is not an ECR registry; copy by hand to others`);
    const tags = Object.entries({ ...config.tags, "darkroom:deployment": config.name });
    return new Registry(
      new ECRClient(aws(config)),
      prefix,
      tags.map(([Key, Value]) => ({ Key, Value })),
    );
  }

  /** ECR takes a push only into a repository that exists. */
  async ensure(name: string): Promise<void> {
    const repositoryName = [...this.prefix.split("/").slice(1), name].join("/");
    try {
      await this.client.send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] }));
    } catch (error) {
      if (!isAbsent(error)) throw error;
      await this.client.send(new CreateRepositoryCommand({ repositoryName, tags: this.tags }));
    }
  }

  /** A password for twelve hours. */
  async login(): Promise<Login> {
    const { authorizationData } = await this.client.send(new GetAuthorizationTokenCommand({}));
    const token = Buffer.from(authorizationData?.[0]?.authorizationToken ?? "", "base64").toString();
    const [user = "", password = ""] = token.split(":");
    return { host: this.prefix.split("/")[0] as string, user, password };
  }
}
