// The configuration file, once it is checked and every default stands in it. Meanings, units and ranges: config.schema.json.

export type Partition = "aws" | "aws-cn" | "aws-us-gov";
export type RuntimeType = "sdwebui" | "comfyui";
export type Purchase = "spot-first" | "spot" | "on-demand";

export interface Config {
  name: string;
  region: string;
  partition: Partition;
  account?: string;
  modelBucket: string;
  tags: Record<string, string>;
  api: {
    keys: string[];
    ratePerSecond: number;
    burst: number;
    requestsPerDay: number;
    concurrency: number;
    messageBytes: number;
  };
  results: { bucket?: string; lifetimeDays: number; urlSeconds: number; keepOnDestroy: boolean };
  subscriptions: { emails: string[]; webhooks: string[]; queues: string[] };
  alarms: { email?: string; queueAgeMinutes: number };
  runtimes: Runtime[];
  images: { registry?: string; tag: string };
  imageCache: { mode: "none" | "snapshot" | "soci"; snapshot?: string; initializationRate: number };
  cluster: ClusterConfig;
}

export interface ClusterConfig {
  existing?: string;
  vpc?: string;
  subnets?: string[];
  securityGroups?: string[];
  nodeRole?: string;
  oidcProvider?: string;
  administrators: string[];
  install: {
    keda: boolean;
    karpenter: boolean;
    modelsDriver: boolean;
    observability: boolean;
    podIdentityAgent: boolean;
  };
  version: "1.35" | "1.36";
  systemNodes: { instanceType: string; count: number };
  zones: number;
  natGateways: number;
  apiAccess: string[];
  charts?: string;
  identity: "pod-identity" | "irsa";
}

export interface Runtime {
  name: string;
  type: RuntimeType;
  model?: string;
  models: string[];
  dynamicModel: boolean;
  taskTypes: string[];
  limits: { maxPixels: number; maxSteps: number; maxImages: number; maxBytes?: number };
  nodes: { allowed: string[]; denied: string[] };
  allowedSettings: string[];
  allowedScripts: string[];
  claimCheck: boolean;
  inputs: { hosts: string[]; buckets: string[] };
  image?: string;
  args: string[];
  env: Record<string, string>;
  concurrency: number;
  notifyRunning: boolean;
  instances: { types: string[]; purchase: Purchase; volumeGiB: number };
  replicas: { min: number; max: number };
  scaling: {
    tasksPerReplica: number;
    cooldownSeconds: number;
    schedules: { start: string; end: string; timezone: string; replicas: number }[];
  };
  deadlines: { run: number; drain: number; grace: number; visibility: number; startup: number };
  attempts: number;
}
