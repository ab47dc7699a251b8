// The zips of the two functions, which CDK uploads.

import { existsSync } from "node:fs";
import { resolve } from "node:path";

import { architectureOf } from "../../lib/config/architecture.ts";
import { FUNCTION_ZIPS, functionsFolder } from "../support/paths.ts";
import { type Check, missing, ok } from "./finding.ts";

export const functions: Check = async (config) => {
  const folder = functionsFolder(config);
  const absent = FUNCTION_ZIPS.filter((zip) => !existsSync(resolve(folder, zip)));
  const build = `infra/build-functions${architectureOf(config) === "arm64" ? "" : " --x86-64"}`;
  return [
    absent.length === 0
      ? ok(`${FUNCTION_ZIPS.join(" and ")} are built`)
      : missing(
          `${absent.join(" and ")} not in ${folder}: \`${build}\` builds them, \`infra/operate fetch-release\` downloads them`,
        ),
  ];
};
