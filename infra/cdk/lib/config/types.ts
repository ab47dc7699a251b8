// Generated from config.schema.json (npm run generate): a configuration with all of its defaults.

export type BucketName = string;
export type Email = string;
export type ModelFile = string;
export type Cron = string;

export interface Config {
  name: string;
  region: string;
  partition: "aws" | "aws-cn" | "aws-us-gov";
  account?: string;
  modelBucket: BucketName;
  tags: {
    [k: string]: string;
  };
  api: {
    keys: string[];
    ratePerSecond: number;
    burst: number;
    requestsPerDay: number;
    concurrency: number;
    architecture?: "arm64" | "x86_64";
    messageBytes: number;
  };
  results: {
    bucket?: BucketName;
    lifetimeDays: number;
    urlSeconds: number;
    keepOnDestroy: boolean;
  };
  records: {
    enabled: boolean;
    days: number;
    maxUnfinishedTasks: number;
  };
  subscriptions: {
    emails: Email[];
    webhooks: string[];
    queues: string[];
  };
  alarms: {
    email?: Email;
    queueAgeMinutes: number;
    failedPercent: number;
    runbookUrl: string;
  };
  metrics: {
    enabled: boolean;
  };
  tracing: {
    enabled?: boolean;
    share: number;
    endpoint?: string;
  };
  /**
   * @maxItems 40
   */
  runtimes: Runtime[];
  images: {
    registry?: string;
    tag: string;
  };
  imageCache: {
    mode: "auto" | "none" | "snapshot" | "soci";
    snapshot?: string;
    initializationRate: number;
  };
  cluster: {
    nodes: "karpenter" | "auto";
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
    vpcCniVersion: string;
    version: "1.35" | "1.36";
    systemNodes: {
      instanceType: string;
      count: number;
    };
    zones: number;
    natGateways: number;
    apiAccess: string[];
    egressNetworks: string[];
    charts?: string;
    identity: "pod-identity" | "irsa";
  };
}
export interface Runtime {
  name: string;
  /**
   * `sdwebui`: SD WebUI; `comfyui`: ComfyUI; `openai-images`: OpenAI Images; `sdcpp`: stable-diffusion.cpp
   */
  type: "sdwebui" | "comfyui" | "openai-images" | "sdcpp";
  model?: ModelFile;
  models: ModelFile[];
  dynamicModel: boolean;
  taskTypes: (
    "text-to-image" | "image-to-image" | "extra-single-image" | "extra-batch-images" | "pipeline"
  )[];
  limits: {
    maxPixels: number;
    maxSteps: number;
    maxImages: number;
    maxBytes?: number;
  };
  nodes: {
    allowed: string[];
    denied: string[];
    file?: string;
  };
  allowedSettings: string[];
  allowedScripts: string[];
  uninterruptibleRun: "wait" | "restart";
  claimCheck: boolean;
  inputs: {
    hosts: string[];
    buckets: BucketName[];
  };
  image?: string;
  args: string[];
  env: {
    [k: string]: string;
  };
  values: {};
  concurrency: number;
  notifyRunning: boolean;
  instances: {
    types: string[];
    purchase: "spot-first" | "spot" | "on-demand";
    volumeGiB: number;
  };
  hourlyPrice?: number;
  replicas: {
    min: number;
    max: number;
  };
  scaling: {
    tasksPerReplica: number;
    cooldownSeconds: number;
    schedules: {
      start: Cron;
      end: Cron;
      timezone: string;
      replicas: number;
    }[];
  };
  deadlines: {
    run: number;
    drain: number;
    grace: number;
    visibility: number;
    startup: number;
  };
  attempts: number;
}

export type Partition = Config["partition"];
export type RuntimeType = Runtime["type"];
export type Purchase = Runtime["instances"]["purchase"];
export type ClusterConfig = Config["cluster"];
