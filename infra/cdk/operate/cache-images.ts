import { resolve } from "node:path";

import type { Command } from "./support/command.ts";
import { say } from "./support/console.ts";
import { INFRA } from "./support/paths.ts";
import { run } from "./support/programs.ts";

export const command: Command = {
  help: `Makes an EBS snapshot with the images on it, and writes its id into the configuration.
New nodes then start from it instead of pulling: \`update\` brings it to them. An instance pulls the images and is
deleted again; it takes 10 to 20 minutes. Repeat it for new images. Needs the AWS CLI.`,
  options: {
    subnet: { type: "string", description: "where the instance runs; it needs a way to the registries" },
    image: { type: "string", description: "one more image" },
    force: { type: "boolean", description: "even if there is a snapshot of these images" },
    "dry-run": { type: "boolean", description: "print the AWS calls instead" },
  },
  async run({ file, values }) {
    const args = Object.entries(values).flatMap(([name, value]) =>
      name === "config" || value === false
        ? []
        : [`--${name}`, ...(typeof value === "string" ? [value] : [])],
    );
    await run(resolve(INFRA, "images/cache/snapshot"), ["--config", resolve(file), ...args]);
    if (values["dry-run"] !== true) say("`infra/operate update` brings it to new nodes");
  },
};
