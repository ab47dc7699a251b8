/** Which nodes are waited for. */
export interface Nodes {
  Deployment: string;
  NodePools: string[];
  /** The cluster, if its EKS Auto Mode launches them. */
  AutoModeCluster?: string;
}

/** What CloudFormation asks about the resource. */
export interface Question {
  RequestType: string;
  ResourceProperties: Nodes & { NodeRole?: string };
  /** When the wait began, in milliseconds, as `onEvent` returned it. */
  Since?: number;
}

/** What is left: the ids of instances, and the names of instance profiles by role. */
export interface Calls {
  instances(nodes: Nodes): Promise<string[]>;
  instanceProfiles(role: string): Promise<string[]>;
}

export function isComplete(question: Question, calls?: Calls, now?: number): Promise<{ IsComplete: boolean }>;
export function onEvent(): Promise<{ Since: number }>;
