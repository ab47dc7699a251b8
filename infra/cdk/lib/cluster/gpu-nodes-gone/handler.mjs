// Says whether the GPU nodes of a deployment are gone, so that what they need is deleted after them and not
// before.

/** CloudFormation gives up after an hour and says no more than that. Shortly before, a reason can still be given. */
const GIVE_UP_MS = 55 * 60 * 1000;

/** What CloudFormation asks. Only a deletion waits. `Since` is what `onEvent` returned. */
export async function isComplete({ RequestType, ResourceProperties, Since }, calls, now = Date.now()) {
  if (RequestType !== "Delete") return { IsComplete: true };
  const { Deployment, NodeRole, NodePools } = ResourceProperties;
  const { instances, instanceProfiles } = calls ?? (await awsCalls());
  const left = [
    ...(await instances(ResourceProperties)),
    ...(NodeRole ? await instanceProfiles(NodeRole) : []),
  ];
  console.log(JSON.stringify({ deployment: Deployment, left }));
  if (left.length > 0 && now - Since > GIVE_UP_MS) throw new Error(reason(left, NodePools));
  return { IsComplete: left.length === 0 };
}

/** Uninstalling a release that fails is not reported by the resource that does it, so that its NodePool may still be there. */
const reason = (left, pools) =>
  `${left.join(", ")}: still there after 55 minutes. Either pods are busy for longer, then delete the stack again; or a release ` +
  `could not be uninstalled, then \`kubectl delete nodepools ${pools.join(" ")}\` first`;

/** Nothing is made or changed here, but for the time at which the wait began. */
export async function onEvent() {
  return { Since: Date.now() };
}

/**
 * How EC2 knows the nodes. The role of a cluster in EKS Auto Mode may launch instances with no tags but these and the
 * cluster's (AmazonEKSComputePolicy), and an account may hide instances that are managed by AWS.
 */
const launched = ({ Deployment, NodePools, AutoModeCluster }) =>
  AutoModeCluster
    ? {
        Filters: [
          { Name: "tag:eks:eks-cluster-name", Values: [AutoModeCluster] },
          { Name: "tag:eks:kubernetes-node-pool-name", Values: NodePools },
        ],
        IncludeManagedResources: true,
      }
    : {
        Filters: [
          { Name: "tag:darkroom:deployment", Values: [Deployment] },
          { Name: "tag-key", Values: ["karpenter.sh/nodepool"] },
        ],
      };

/** The SDK that Lambda's runtime brings. */
async function awsCalls() {
  const { EC2Client, paginateDescribeInstances } = await import("@aws-sdk/client-ec2");
  const { IAMClient, ListInstanceProfilesForRoleCommand, NoSuchEntityException } =
    await import("@aws-sdk/client-iam");
  const ec2 = new EC2Client();
  const iam = new IAMClient();
  return {
    /** Whatever was launched for the deployment and is not terminated. */
    async instances(nodes) {
      const { Filters, ...more } = launched(nodes);
      const Values = ["pending", "running", "shutting-down", "stopping", "stopped"];
      const query = { Filters: [...Filters, { Name: "instance-state-name", Values }], ...more };
      const ids = [];
      for await (const page of paginateDescribeInstances({ client: ec2 }, query)) {
        for (const { Instances } of page.Reservations ?? [])
          ids.push(...Instances.map(({ InstanceId }) => InstanceId));
      }
      return ids;
    },
    /** Karpenter and EKS Auto Mode make these around the role of its nodes; a role that has one cannot be deleted. */
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
