// Generated from config.schema.json (npm run generate): a configuration with all of its defaults.

export type Email = string;
export type ModelFile = string;
export type BucketName = string;

/**
 * One deployment of Darkroom: the front door, the bus, the results, the cluster and the runtimes. The CDK app, the operator's commands and the local stack read the same file.
 */
export interface Config {
  /**
   * The beginning of every name: stacks, queues, topics, roles. One account and region may hold several deployments of different names.
   */
  name: string;
  /**
   * The AWS region, such as us-west-2 or cn-northwest-1.
   */
  region: string;
  /**
   * The AWS partition. Follows from the region; worth saying only to have it checked.
   */
  partition: "aws" | "aws-cn" | "aws-us-gov";
  /**
   * The account that it may be deployed to. Without it, whichever the credentials belong to.
   */
  account?: string;
  /**
   * The S3 bucket with the models, in the same region. `infra/darkroom upload-models` makes it if it does not exist; no stack ever deletes it.
   */
  modelBucket: string;
  /**
   * Tags on everything that can be tagged, besides `darkroom:deployment`.
   */
  tags: {
    [k: string]: string;
  };
  /**
   * The front door.
   */
  api: {
    /**
     * Names of API keys. API Gateway makes up the keys; `infra/darkroom api-keys` prints them.
     *
     * @minItems 1
     */
    keys: string[];
    /**
     * Requests per second of one API key, on average. More is answered 429.
     */
    ratePerSecond: number;
    /**
     * Requests of one API key that may come at once.
     */
    burst: number;
    /**
     * Requests of one API key per day. 0 does not limit.
     */
    requestsPerDay: number;
    /**
     * Reserved concurrency of the front door's function, so that it neither starves others in the account nor is starved. 0 reserves none; new accounts have too little to reserve any.
     */
    concurrency: number;
    /**
     * The largest message on the task topic, in bytes. Above 256 KiB SNS takes it in the commercial regions only. What is larger goes by claim check where the runtime has it.
     */
    messageBytes: number;
  };
  /**
   * The bucket with images and `.out` files.
   */
  results: {
    /**
     * Its name. CloudFormation makes one up otherwise.
     */
    bucket?: string;
    /**
     * Days after which results are deleted. 0 keeps them for ever.
     */
    lifetimeDays: number;
    /**
     * How long presigned URLs in notifications work, in seconds. They die earlier with the credentials that signed them, hours at most.
     */
    urlSeconds: number;
    /**
     * Keep the bucket and what is in it when the stack is destroyed.
     */
    keepOnDestroy: boolean;
  };
  /**
   * Who hears of finished tasks.
   */
  subscriptions: {
    /**
     * Addresses that get an email per task, once they have confirmed.
     */
    emails: Email[];
    /**
     * HTTPS addresses that get a POST per task, once they have confirmed.
     */
    webhooks: string[];
    /**
     * Names of SQS queues that are made and get a message per task: `<name>-results-<this>`.
     */
    queues: string[];
  };
  /**
   * What operators hear of.
   */
  alarms: {
    /**
     * The address that alarms go to. Without one they are only on the console.
     */
    email?: string;
    /**
     * An alarm rises when the oldest waiting task of a runtime is older than this.
     */
    queueAgeMinutes: number;
  };
  /**
   * The Stable Diffusion runtimes: each has a queue, a role, a release of the chart and GPU nodes of its own.
   *
   * @minItems 1
   * @maxItems 40
   */
  runtimes: Runtime[];
  /**
   * Where container images come from.
   */
  images: {
    /**
     * What the names of the images of Darkroom begin with. By default the account's own registry and the deployment's name: <account>.dkr.ecr.<region>.amazonaws.com/<name>. `infra/images/build` pushes them there.
     */
    registry?: string;
    /**
     * The tag of Darkroom's images.
     */
    tag: string;
  };
  /**
   * How a new node comes by the runtimes' images, which are several GB.
   */
  imageCache: {
    /**
     * `none`: pulled as they are. `snapshot`: the node's data volume is made from a snapshot that has them. `soci`: pulled and unpacked in parallel onto the instance store; pays on 16 vCPU and more.
     */
    mode: "none" | "snapshot" | "soci";
    /**
     * The EBS snapshot. `infra/darkroom cache-images` makes it and writes its id here.
     */
    snapshot?: string;
    /**
     * How fast EBS fetches the snapshot onto a new volume, in MiB/s (100 to 300, billed per GiB). 0 leaves it to EBS, some 130 MB/s.
     */
    initializationRate: number;
  };
  /**
   * The EKS cluster.
   */
  cluster: {
    /**
     * The name of a cluster that exists, instead of a new one. Its authentication mode must be API or API_AND_CONFIG_MAP.
     */
    existing?: string;
    /**
     * The VPC of the existing cluster.
     */
    vpc?: string;
    /**
     * Private subnets of the existing cluster's VPC, for GPU nodes.
     *
     * @minItems 1
     */
    subnets?: string[];
    /**
     * Security groups of the existing cluster's nodes.
     *
     * @minItems 1
     */
    securityGroups?: string[];
    /**
     * The name of the role of the nodes that the existing cluster's Karpenter launches. Required with `existing` and `install.karpenter: false`.
     */
    nodeRole?: string;
    /**
     * The ARN of the existing cluster's OIDC provider in IAM. Required with `existing` and `identity: irsa`.
     */
    oidcProvider?: string;
    /**
     * ARNs of IAM roles and users that may use kubectl with all rights. Without any, `aws eks create-access-entry` lets people in.
     */
    administrators: string[];
    /**
     * What is installed into the cluster; switch off what an existing one has.
     */
    install: {
      /**
       * KEDA.
       */
      keda: boolean;
      /**
       * Karpenter, with its interruption queue.
       */
      karpenter: boolean;
      /**
       * The Mountpoint for S3 CSI driver.
       */
      modelsDriver: boolean;
      /**
       * Container logs, Container Insights and GPU metrics (DCGM) by the CloudWatch agent.
       */
      observability: boolean;
      /**
       * The EKS Pod Identity agent.
       */
      podIdentityAgent: boolean;
    };
    /**
     * The Kubernetes version of a new cluster, or of the existing one: kubectl is chosen by it.
     */
    version: "1.35" | "1.36";
    /**
     * The nodes of a new cluster that everything but the runtimes runs on.
     */
    systemNodes: {
      instanceType: string;
      count: number;
    };
    /**
     * Availability zones of a new cluster. More zones, more places to find a GPU.
     */
    zones: number;
    /**
     * NAT gateways of a new cluster; each costs about 33 dollars a month before traffic.
     */
    natGateways: number;
    /**
     * Networks that may reach the Kubernetes API over the internet. Empty: only from inside the VPC.
     */
    apiAccess: string[];
    /**
     * Where the charts of KEDA and Karpenter come from, for networks that do not reach their own homes; required in China: an OCI registry to which `infra/darkroom mirror` copied charts and images.
     */
    charts?: string;
    /**
     * How pods get AWS credentials: EKS Pod Identity, or IAM roles for service accounts where a region lacks it.
     */
    identity: "pod-identity" | "irsa";
  };
}
export interface Runtime {
  /**
   * Its name: what tasks name in `runtime`, and part of the names of its queue, role and release.
   */
  name: string;
  /**
   * What it is.
   */
  type: "sdwebui" | "comfyui";
  /**
   * The checkpoint that SD WebUI starts with: a file in `Stable-diffusion/` of the model bucket. ComfyUI's workflows name theirs.
   */
  model?: string;
  /**
   * Further checkpoints that tasks may name, with `dynamicModel`. v1alpha1 tasks are routed by them.
   */
  models: ModelFile[];
  /**
   * Load the checkpoint that a task names (SD WebUI).
   */
  dynamicModel: boolean;
  /**
   * The only task types that it takes. Empty: all of its type.
   */
  taskTypes: (
    "text-to-image" | "image-to-image" | "extra-single-image" | "extra-batch-images" | "pipeline"
  )[];
  /**
   * What one task may ask for. Raise a limit for what the GPU can do.
   */
  limits: {
    /**
     * Width times height of one image, in pixels.
     */
    maxPixels: number;
    /**
     * Sampling steps.
     */
    maxSteps: number;
    /**
     * Images of one task: batch size times number of batches.
     */
    maxImages: number;
    /**
     * The content as JSON, in bytes. Absent: what a request may have.
     */
    maxBytes?: number;
  };
  /**
   * Classes of ComfyUI nodes that workflows may and may not have.
   */
  nodes: {
    allowed: string[];
    denied: string[];
  };
  /**
   * Settings of SD WebUI's extensions that `override_settings` may have, beside those that shape an image. None that leads to files or addresses.
   */
  allowedSettings: string[];
  /**
   * Scripts of SD WebUI, in any case of letters, that `script_name` may select beside `Loopback`. They run with parameters of their own: `limits` do not bound what they make, and some write to folders, load checkpoints or run code that a task names.
   */
  allowedScripts: string[];
  /**
   * Take tasks that are too large for a message, by way of the bucket.
   */
  claimCheck: boolean;
  /**
   * Where input images may come from, besides every public address.
   */
  inputs: {
    /**
     * Hosts, host:port or networks that are not public. Addresses and networks among them are opened in the pods' network policy; the network of a private host has to be named besides.
     */
    hosts: string[];
    /**
     * Buckets that `s3://` addresses may name.
     */
    buckets: BucketName[];
  };
  /**
   * The runtime's image, instead of Darkroom's of its type.
   */
  image?: string;
  /**
   * Further arguments of the runtime's command.
   */
  args: string[];
  /**
   * Further variables of the runtime's container.
   */
  env: {
    [k: string]: string;
  };
  /**
   * How many jobs the runtime is given at once (ComfyUI).
   */
  concurrency: number;
  /**
   * Notify when a task begins, too.
   */
  notifyRunning: boolean;
  /**
   * The GPU nodes.
   */
  instances: {
    /**
     * Instance types that Karpenter chooses from. More of them, fewer Spot interruptions.
     *
     * @minItems 1
     */
    types: string[];
    /**
     * `spot-first` falls back to On-Demand when there is no Spot capacity.
     */
    purchase: "spot-first" | "spot" | "on-demand";
    /**
     * The data volume of a node, in GiB: images, and what containers write.
     */
    volumeGiB: number;
  };
  /**
   * How many pods, each with one GPU.
   */
  replicas: {
    /**
     * Pods that always run.
     */
    min: number;
    /**
     * Pods at most.
     */
    max: number;
  };
  scaling: {
    /**
     * Waiting tasks that one more pod is worth.
     */
    tasksPerReplica: number;
    /**
     * How long a runtime without tasks keeps its last pod.
     */
    cooldownSeconds: number;
    /**
     * Times at which there are at least so many pods, whatever the queue says.
     */
    schedules: {
      /**
       * Five cron fields.
       */
      start: string;
      /**
       * Five cron fields.
       */
      end: string;
      /**
       * Of the IANA list, such as Europe/Berlin.
       */
      timezone: string;
      replicas: number;
    }[];
  };
  /**
   * In seconds.
   */
  deadlines: {
    /**
     * The longest run.
     */
    run: number;
    /**
     * What a running task may still take when its pod has to go.
     */
    drain: number;
    /**
     * The pod's terminationGracePeriodSeconds. Spot gives 120 s in all.
     */
    grace: number;
    /**
     * How long a task stays hidden after its worker's last sign of life.
     */
    visibility: number;
    /**
     * How long the runtime may take until it answers.
     */
    startup: number;
  };
  /**
   * Attempts before a failure that a retry might cure is final.
   */
  attempts: number;
}

export type Partition = Config["partition"];
export type RuntimeType = Runtime["type"];
export type Purchase = Runtime["instances"]["purchase"];
export type ClusterConfig = Config["cluster"];
