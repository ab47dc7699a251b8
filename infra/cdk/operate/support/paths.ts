// Where things lie in the repository, whatever folder a command is called from.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export const CDK = at("../..");
export const INFRA = at("../../..");
export const DEFAULT_CONFIG = resolve(INFRA, "config.yaml");

/** The folder with the functions' zips: `api-lambda.zip` and `dead-letter.zip`. */
export const functionsFolder = () =>
  resolve(CDK, process.env["DARKROOM_FUNCTIONS"] ?? "../../target/functions");

export const FUNCTION_ZIPS = ["api-lambda.zip", "dead-letter.zip"];
