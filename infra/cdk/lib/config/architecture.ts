import type { Config } from "./types.ts";

/** The processors of the functions. The documents for China do not list arm64 as available everywhere (Lambda, "China"). */
export const architectureOf = ({ api, partition }: Config) =>
  api.architecture ?? (partition === "aws-cn" ? "x86_64" : "arm64");

/** The folder, relative to the repository, that `infra/build-functions` writes the zips for these processors into. */
export const zipFolder = (config: Config) =>
  architectureOf(config) === "arm64" ? "target/functions" : "target/functions-x86-64";
