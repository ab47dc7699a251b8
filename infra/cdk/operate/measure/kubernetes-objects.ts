// The few fields of Kubernetes' objects with the time of an event. Times are RFC 3339, in whole
// seconds.

interface Meta {
  name: string;
  creationTimestamp: string;
  labels?: Record<string, string>;
}

interface Condition {
  type: string;
  status: string;
  lastTransitionTime?: string;
}

interface ContainerStatus {
  name: string;
  state?: { running?: { startedAt?: string } };
}

export interface Pod {
  metadata: Meta;
  spec: { nodeName?: string };
  status: {
    conditions?: Condition[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}

export interface Node {
  metadata: Meta;
  status: { conditions?: Condition[] };
}

export interface NodeClaim {
  metadata: Meta;
  status: { nodeName?: string; conditions?: Condition[] };
}

export interface PodEvent {
  reason: string;
  message?: string;
  involvedObject: { name: string; fieldPath?: string };
  lastTimestamp?: string | null;
  eventTime?: string | null;
}

export const when = (time: string | null | undefined): number | undefined =>
  time ? Date.parse(time) : undefined;

/** When a condition became true. */
export const since = (conditions: Condition[] | undefined, type: string): number | undefined =>
  when(
    conditions?.find((condition) => condition.type === type && condition.status === "True")
      ?.lastTransitionTime,
  );
