// Says whether the GPU nodes of a deployment are gone, so that what they need is deleted after them and not
// before.

/** What CloudFormation asks. Only a deletion waits. */
export async function isComplete({ RequestType, ResourceProperties }, calls) {
  if (RequestType !== "Delete") return { IsComplete: true };
  const { Deployment, NodeRole } = ResourceProperties;
  const { instances, instanceProfiles } = calls ?? (await awsCalls());
  const left = [...(await instances(Deployment)), ...(NodeRole ? await instanceProfiles(NodeRole) : [])];
  console.log(JSON.stringify({ deployment: Deployment, left }));
  return { IsComplete: left.length === 0 };
}

/** Nothing is made or changed here. */
export async function onEvent() {
  return {};
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
