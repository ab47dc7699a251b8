import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";

import { releasedProgram, REPOSITORY, version } from "../lib/config/release.ts";
import { address, imagesOf } from "./release/address.ts";
import { fetchFile, fetchSums } from "./release/files.ts";
import { programName } from "./release/platform.ts";
import type { Command } from "./support/command.ts";
import { bytes, say } from "./support/console.ts";

export const command: Command = {
  help: `Downloads what a deployment needs from the release of this version, so that nothing is built here.
The program that checks configurations, and the functions' zips for arm64 and x86-64. Each file must have the checksum
that the release lists. It also prints where the images of the release are.`,
  options: {
    from: {
      type: "string",
      description: "the address of the release's files; by default that of the clone's GitHub repository",
    },
  },
  async run({ values: { from } }) {
    const release = typeof from === "string" ? from : await address();
    await fetchRelease(release);
    const registry = imagesOf(release);
    if (registry) say(`\nits images, for the deployment file:\n\n${imagesIn(registry)}`);
  },
};

const imagesIn = (registry: string) => `images:\n  registry: ${registry}\n  tag: ${version()}`;

/** What is downloaded, by its name in the release, and where it goes. */
const files = (): [name: string, place: string][] => [
  [programName(process.platform, process.arch), releasedProgram()],
  ...["api-lambda", "dead-letter"].flatMap((name): [string, string][] => [
    [`${name}-arm64.zip`, resolve(REPOSITORY, "target/functions", `${name}.zip`)],
    [`${name}-x86-64.zip`, resolve(REPOSITORY, "target/functions-x86-64", `${name}.zip`)],
  ]),
];

/** Writes nothing unless every file is there and has its checksum. */
export async function fetchRelease(from: string, places = files()): Promise<void> {
  const sums = await fetchSums(from);
  const contents = await Promise.all(places.map(([name]) => fetchFile(from, name, sums)));
  for (const [n, [name, place]] of places.entries()) {
    const content = contents[n] as Buffer;
    await write(place, content);
    say(`${place}: ${name}, ${bytes(content.length)}`);
  }
}

/** An interrupted command leaves no part of a file under its name. */
async function write(place: string, content: Buffer): Promise<void> {
  await mkdir(dirname(place), { recursive: true });
  await writeFile(`${place}.part`, content, { mode: place.endsWith(".zip") ? 0o644 : 0o755 });
  await rename(`${place}.part`, place);
}
