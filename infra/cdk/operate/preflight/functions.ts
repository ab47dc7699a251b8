// The zips of the two functions, which CDK uploads.

import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { FUNCTION_ZIPS, functionsFolder } from "../support/paths.ts";
import { type Check, missing, ok } from "./finding.ts";

export const functions: Check = async () => {
  const absent = FUNCTION_ZIPS.filter((zip) => !existsSync(resolve(functionsFolder(), zip)));
  return [
    absent.length === 0
      ? ok(`${FUNCTION_ZIPS.join(" and ")} are built`)
      : missing(`${absent.join(" and ")} not in ${functionsFolder()}: \`infra/build-functions\` builds them`),
  ];
};
