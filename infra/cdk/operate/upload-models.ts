import { S3Client } from "@aws-sdk/client-s3";

import { load } from "../lib/config/load.ts";
import { servedModels } from "../lib/config/served-models.ts";
import type { Config } from "../lib/config/types.ts";
import { makeBucket } from "./models/bucket.ts";
import { localFiles } from "./models/local-files.ts";
import { isChanged, remoteFiles, uploadFile } from "./models/remote-files.ts";
import { bucketRegion } from "./preflight/models.ts";
import { s3 } from "./support/aws.ts";
import type { Command } from "./support/command.ts";
import { bytes, duration, say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";

export const command: Command = {
  help: `Copies a folder of models into the model bucket, and makes the bucket if it does not exist.
FOLDER is laid out as SD WebUI's models folder: Stable-diffusion/, Lora/, VAE/, ControlNet/, ... Only files that are
new or changed are copied (by size and time of change). Nothing is deleted from the bucket.`,
  positional: "FOLDER",
  options: { "dry-run": { type: "boolean", description: "say what would be copied" } },
  async run({ file, values, positionals: [folder = ""] }) {
    await uploadModels(load(file), folder, values["dry-run"] === true);
  },
};

export async function uploadModels(config: Config, folder: string, dryRun = false): Promise<void> {
  const files = await localFiles(folder);
  const client = new S3Client(s3(config));
  const existed = await existing(client, config);
  if (!existed && dryRun) say(`would make the bucket ${config.modelBucket}`);
  if (!existed && !dryRun) await makeBucket(client, config);

  const remote = existed ? await remoteFiles(client, config.modelBucket) : new Map<string, number>();
  let copied = 0;
  for (const file of files) {
    if (!(await isChanged(client, config.modelBucket, file, remote.get(file.key)))) continue;
    copied += 1;
    say(`${dryRun ? "would copy" : "copying"} ${file.key} (${bytes(file.size)})`);
    if (dryRun) continue;
    const begun = Date.now();
    await uploadFile(client, config.modelBucket, file);
    say(`  in ${duration((Date.now() - begun) / 1000)}`);
  }
  say(`${copied} of ${files.length} files ${dryRun ? "would be " : ""}copied to s3://${config.modelBucket}`);

  const known = new Set([...files.map(({ key }) => key), ...remote.keys()]);
  for (const key of remote.keys()) {
    if (!files.some((file) => file.key === key)) say(`only in the bucket: ${key}`);
  }
  for (const model of config.runtimes.flatMap(servedModels)) {
    if (!known.has(`Stable-diffusion/${model}`))
      say(`still missing: Stable-diffusion/${model}, which a runtime serves`);
  }
}

/**
 * Whether the bucket is there. One in another region is a mistake that would cost on every start of a pod.
 */
async function existing(client: S3Client, { modelBucket, region }: Config): Promise<boolean> {
  const found = await bucketRegion(client, modelBucket);
  if (found !== undefined && found !== region) {
    throw new Failure(`the bucket ${modelBucket} is in ${found}, the deployment in ${region}`);
  }
  return found !== undefined;
}
