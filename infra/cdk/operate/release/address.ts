// Where the release of this checkout is.

import { REPOSITORY, version } from "../../lib/config/release.ts";
import { Failure } from "../support/failure.ts";
import { capture } from "../support/programs.ts";

/** `git@github.com:owner/name.git`, `https://github.com/owner/name`, and the like. */
const REMOTE = /\bgithub\.com[:/]([\w.-]+)\/([\w.-]+?)(?:\.git)?\/?$/;

/** The folder of the release of this version at GitHub, by the remote `origin` of a clone. */
export async function address(): Promise<string> {
  const args = ["-C", REPOSITORY, "remote", "get-url", "origin"];
  const remote = await capture("git", args, { quiet: true }).catch(() => "");
  return ofRemote(remote.trim());
}

/** The same by the address of the remote. */
export function ofRemote(remote: string): string {
  const [, owner, name] = REMOTE.exec(remote) ?? [];
  if (!owner || !name)
    throw new Failure("this is no clone from GitHub: name the address of the release with --from");
  return `https://github.com/${owner}/${name}/releases/download/v${version()}`;
}

/** What the names of the release's images begin with, which its workflow pushes to GitHub's registry. */
export function imagesOf(from: string): string | undefined {
  const [, repository] = /^https:\/\/github\.com\/([\w.-]+\/[\w.-]+)\/releases\//.exec(from) ?? [];
  return repository && `ghcr.io/${repository.toLowerCase()}`;
}
