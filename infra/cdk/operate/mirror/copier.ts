// Copies an image between registries, with all its platforms: GPU nodes are x86_64, system nodes arm64.

import { onPath } from "../preflight/programs.ts";
import { Failure } from "../support/failure.ts";
import { run } from "../support/programs.ts";
import type { Login } from "./registry.ts";

export interface Copier {
  login(login: Login): Promise<void>;
  copy(from: string, to: string): Promise<void>;
}

export async function copier(): Promise<Copier> {
  if (await onPath("crane")) {
    return {
      login: ({ host, user, password }) =>
        run("crane", ["auth", "login", host, "--username", user, "--password-stdin"], { input: password }),
      copy: (from, to) => run("crane", ["copy", withoutTag(from), to]),
    };
  }
  if (await onPath("docker")) {
    return {
      login: ({ host, user, password }) =>
        run("docker", ["login", host, "--username", user, "--password-stdin"], { input: password }),
      // `docker pull` would keep this machine's platform only.
      copy: (from, to) => run("docker", ["buildx", "imagetools", "create", "--tag", to, withoutTag(from)]),
    };
  }
  throw new Failure("neither `crane` nor `docker` is installed");
}

/** Where a digest is given, it decides; programs differ in whether they take a tag beside it. */
const withoutTag = (image: string) => image.replace(/:[^:@/]+@/, "@");
