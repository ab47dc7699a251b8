/** What CloudFormation asks about the resource. */
export interface Question {
  RequestType: string;
  ResourceProperties: { Deployment: string; NodeRole?: string };
  /** When the wait began, in milliseconds, as `onEvent` returned it. */
  Since?: number;
}

/** What is left: the ids of instances by deployment, and the names of instance profiles by role. */
export interface Calls {
  instances(deployment: string): Promise<string[]>;
  instanceProfiles(role: string): Promise<string[]>;
}

export function isComplete(question: Question, calls?: Calls, now?: number): Promise<{ IsComplete: boolean }>;
export function onEvent(): Promise<{ Since: number }>;
