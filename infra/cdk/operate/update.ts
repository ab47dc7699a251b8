import { load } from "../lib/config/load.ts";
import { deploy } from "./deploy.ts";
import { cdkFor, cdkPrints } from "./support/cdk.ts";
import type { Command } from "./support/command.ts";
import { confirm, say } from "./support/console.ts";
import { Stacks } from "./support/stacks.ts";
import { type Change, risky } from "./update/risky.ts";

export const command: Command = {
  help: `Shows what an update would change, asks, and deploys it.
Safe at any time: tasks wait in their queues meanwhile, and no queue, bucket, table or topic is replaced unless its
name changes, which is asked for by name. A runtime whose image, settings or worker changed gets new pods, a quarter of
them at a time and never more than before: an old pod stops receiving, gives back what it has not begun, has
\`deadlines.drain\` seconds for what runs, and gives that back too. Nothing is lost, and it costs a task no attempt. New
nodes come only where the node pool itself changed; Karpenter ends the old ones when they are empty, or one at a time.`,
  options: { yes: { type: "boolean", description: "do not ask" } },
  async run({ file, values }) {
    const config = load(file);
    const diff = await cdkPrints(file, config, "diff", "--ci");
    say(diff.trimEnd());
    const dangerous = risky(diff);
    if (dangerous.length > 0) say(`\n${warning(dangerous)}`);
    if (values["yes"] !== true) await confirm("\nUpdate", dangerous.length > 0 ? config.name : "yes");
    await deploy(config, cdkFor(file, config), Stacks.of(config));
  },
};

const warning = (changes: Change[]) =>
  [
    "What holds tasks, results, records or the cluster would be lost or made anew:",
    ...changes.map(sentence),
  ].join("\n");

const sentence = ({ type, id, fate }: Change) => `  ${type} ${id}: ${fate}`;
