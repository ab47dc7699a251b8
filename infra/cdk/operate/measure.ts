import { paginateDescribeStackEvents, type StackEvent } from "@aws-sdk/client-cloudformation";
import { S3Client } from "@aws-sdk/client-s3";

import { load } from "../lib/config/load.ts";
import type { Config, Runtime } from "../lib/config/types.ts";
import { creation, type Deployment, deploymentTable } from "./measure/deployment.ts";
import { Scene } from "./measure/observe.ts";
import { type Stage, stages, unseen } from "./measure/stages.ts";
import { coldStartTable } from "./measure/table.ts";
import { chooseRuntime, deployed, freshId } from "./submit.ts";
import { s3 } from "./support/aws.ts";
import type { Command } from "./support/command.ts";
import { say } from "./support/console.ts";
import { Failure } from "./support/failure.ts";
import { connect } from "./support/kubernetes.ts";
import { clusterStack, serviceStack, Stacks } from "./support/stacks.ts";

export const command: Command = {
  help: `Measures a deployment: how long it took, and how long the first image takes when nothing runs.
Prints tables in Markdown: the deployment by CloudFormation's events, and zero to first image by stage (task, pod,
instance, node, image, runtime, picture) out of Kubernetes' objects and events. Each run first waits until the runtime
has neither pods nor nodes, which takes \`scaling.cooldownSeconds\` and some minutes more. Kubernetes tells whole seconds,
and the task's time is this machine's clock. Needs kubectl, the AWS CLI, and an access entry in the cluster. A run costs
what its GPU node costs until it is gone.`,
  options: {
    runtime: { type: "string", description: "which runtime (the first one of the configuration)" },
    runs: { type: "string", description: "how often to start from zero (3)" },
    "deployment-only": { type: "boolean", description: "only the deployment's table" },
  },
  async run({ file, values }) {
    const config = load(file);
    say(await deployment(config));
    if (values["deployment-only"] === true) return;
    const runs = Number(values["runs"] ?? 3);
    if (!Number.isInteger(runs) || runs < 1)
      throw new Failure(`--runs ${values["runs"]}: a whole number above 0`);
    const runtime = chooseRuntime(config, values["runtime"] as string | undefined);
    say(`\n${await coldStart(config, runtime, runs)}`);
  },
};

async function deployment(config: Config): Promise<string> {
  const stacks = Stacks.of(config);
  const { client } = stacks;
  const made: Deployment[] = [];
  for (const StackName of [serviceStack(config), clusterStack(config)]) {
    if (!(await stacks.find(StackName))) throw new Failure(`the stack \`${StackName}\` does not exist`);
    const events: StackEvent[] = [];
    for await (const page of paginateDescribeStackEvents({ client }, { StackName })) {
      events.push(...(page.StackEvents ?? []));
    }
    const found = creation(StackName, events);
    if (found) made.push(found);
    else say(`CloudFormation has no complete record of the making of ${StackName}`);
  }
  return made.length > 0 ? deploymentTable(made) : "nothing is known of the deployment's time";
}

async function coldStart(config: Config, runtime: Runtime, runs: number): Promise<string> {
  if (runtime.replicas.min > 0)
    throw new Failure(`${runtime.name} has replicas.min ${runtime.replicas.min}: it is never at zero`);
  const { door, bucket } = await deployed(config);
  const kubernetes = await connect(config);
  try {
    const scene = new Scene(config, runtime, kubernetes, door, new S3Client(s3(config)), bucket);
    const seen: Stage[][] = [];
    for (let run = 1; run <= runs; run += 1) {
      await scene.zero();
      say(`run ${run} of ${runs}, from zero`);
      const observation = await scene.play(freshId());
      for (const lack of unseen(observation)) say(`  ${lack}: its time counts to the next stage`);
      seen.push(stages(observation));
    }
    return coldStartTable(seen);
  } finally {
    await kubernetes.close();
  }
}
