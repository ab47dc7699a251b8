// Programs besides Node.js. Deploying needs none of them; what does is named.

import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";

import { type Check, ok, warning } from "./finding.ts";

const PROGRAMS = {
  aws: "cache-images, infra/images/build, and what uses kubectl, which signs in with it",
  kubectl: "measure, and checks of an existing cluster",
  helm: "mirror",
  docker: "infra/images/build, mirror",
};

export const programs: Check = async () => {
  const absent: string[] = [];
  for (const [program, use] of Object.entries(PROGRAMS)) {
    if (!(await onPath(program))) absent.push(`\`${program}\` (${use})`);
  }
  return [absent.length === 0 ? ok(`${Object.keys(PROGRAMS).join(", ")} are installed`) : lacking(absent)];
};

const lacking = (absent: string[]) => warning(`not installed here: ${absent.join("; ")}`);

export async function onPath(program: string): Promise<boolean> {
  const tries = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => access(join(folder, program), constants.X_OK));
  return (await Promise.allSettled(tries)).some(({ status }) => status === "fulfilled");
}
