// Where things lie in the repository, whatever folder a command is called from.

import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { zipFolder } from "../../lib/config/architecture.ts";
import type { Config } from "../../lib/config/types.ts";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const CDK = at("../..");
export const INFRA = at("../../..");
export const DEFAULT_CONFIG = resolve(INFRA, "config.yaml");

/** The folder with the functions' zips: `api-lambda.zip` and `dead-letter.zip`. */
export const functionsFolder = (config: Config) =>
  resolve(CDK, process.env["DARKROOM_FUNCTIONS"] ?? join("../..", zipFolder(config)));

export const FUNCTION_ZIPS = ["api-lambda.zip", "dead-letter.zip"];
