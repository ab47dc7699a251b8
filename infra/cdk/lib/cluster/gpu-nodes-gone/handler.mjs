// Says whether the GPU nodes of a deployment are gone, so that what they need is deleted after them and not
// before.

/** CloudFormation gives up after an hour and says no more than that. Shortly before, a reason can still be given. */
const GIVE_UP_MS = 55 * 60 * 1000;

/** What CloudFormation asks. Only a deletion waits. `Since` is what `onEvent` returned. */
export async function isComplete({ RequestType, ResourceProperties, Since }, calls, now = Date.now()) {
  if (RequestType !== "Delete") return { IsComplete: true };
  const { Deployment, NodeRole } = ResourceProperties;
  const { instances, instanceProfiles } = calls ?? (await awsCalls());
  const left = [...(await instances(Deployment)), ...(NodeRole ? await instanceProfiles(NodeRole) : [])];
  console.log(JSON.stringify({ deployment: Deployment, left }));
  if (left.length > 0 && now - Since > GIVE_UP_MS) throw new Error(reason(left));
  return { IsComplete: left.length === 0 };
}

/** Uninstalling a release that fails is not reported by the resource that does it, so that its NodePool may still be there. */
const reason = (left) =>
  `${left.join(", ")}: still there after 55 minutes. Either pods are busy for longer, then delete the stack again; or a release ` +
  "could not be uninstalled, then `kubectl delete nodepools --all` first";

/** Nothing is made or changed here, but for the time at which the wait began. */
export async function onEvent() {
  return { Since: Date.now() };
}

/** The SDK that Lambda's runtime brings. */
async function awsCalls() {
  const { EC2Client, paginateDescribeInstances } = await import("@aws-sdk/client-ec2");
  const { IAMClient, ListInstanceProfilesForRoleCommand, NoSuchEntityException } =
    await import("@aws-sdk/client-iam");
  const ec2 = new EC2Client();
  const iam = new IAMClient();
  return {
    /** Whatever Karpenter launched for the deployment and has not terminated. */
    async instances(deployment) {
      const Filters = [
        { Name: "tag:darkroom:deployment", Values: [deployment] },
        { Name: "tag-key", Values: ["karpenter.sh/nodepool"] },
        {
          Name: "instance-state-name",
          Values: ["pending", "running", "shutting-down", "stopping", "stopped"],
        },
      ];
      const ids = [];
      for await (const page of paginateDescribeInstances({ client: ec2 }, { Filters })) {
        for (const { Instances } of page.Reservations ?? [])
          ids.push(...Instances.map(({ InstanceId }) => InstanceId));
      }
      return ids;
    },
    /** Karpenter makes these around the role of its nodes; a role that has one cannot be deleted. */
    async instanceProfiles(role) {
      try {
        const { InstanceProfiles } = await iam.send(
          new ListInstanceProfilesForRoleCommand({ RoleName: role }),
        );
        return InstanceProfiles.map(({ InstanceProfileName }) => InstanceProfileName);
      } catch (error) {
        if (error instanceof NoSuchEntityException) return [];
        throw error;
      }
    },
  };
}
