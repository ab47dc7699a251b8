//! Every fault of a file is reported at once, with its place.

use crate::{SMALLEST, faults_of};

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    let mut faults = faults_of(
        "
region: nowhere
modelBucket: My_Models
colour: blue
api: { burst: 0, ratePerSecond: fast, keys: [] }
results: { urlSeconds: 604801 }
records: { enabled: maybe, days: 0, maxUnfinishedTasks: 10001 }
subscriptions: { queues: [a, a], webhooks: [ 'http://insecure.example.com' ] }
images: { registry: '' }
runtimes:
  - name: Upper
    type: fooocus
    deadlines: { drian: 3 }
    hourlyPrice: 0
    limits: { maxSteps: 1.5 }
  - { type: comfyui }
",
    );
    faults.sort();
    let types = shared_schema::runtimes::REGISTRY.map(|contract| contract.name());
    assert_eq!(
        faults,
        [
            "api.burst: must be >= 1",
            "api.keys: must NOT have fewer than 1 items",
            "api.ratePerSecond: must be number",
            "images.registry: must NOT have fewer than 1 characters",
            "modelBucket: must look like ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
            "records.days: must be >= 1",
            "records.enabled: must be boolean",
            "records.maxUnfinishedTasks: must be <= 10000",
            "region: must look like ^[a-z]{2}(-[a-z]+)+-[1-9]$",
            "results.urlSeconds: must be <= 604800",
            "runtimes.0.deadlines: does not know `drian`",
            "runtimes.0.hourlyPrice: must be > 0",
            "runtimes.0.limits.maxSteps: must be integer",
            "runtimes.0.name: must look like ^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$",
            &format!("runtimes.0.type: must be one of {}", types.join(", ")),
            "runtimes.1: lacks `name`",
            "subscriptions.queues: must NOT have duplicate items",
            "subscriptions.webhooks.0: must look like ^https://[^\\s]+$",
            "the file: does not know `colour`",
        ]
    );
}

#[test]
fn missing_fields_invalid_yaml_and_empty_files_are_reported() {
    let lacks = ["region", "modelBucket", "runtimes"].map(|field| format!("the file: lacks `{field}`"));
    for empty in ["", "# nothing\n", "---\n", "null"] {
        assert_eq!(faults_of(empty), lacks, "{empty:?}");
    }
    assert_eq!(faults_of("[1]"), ["the file: must be object"]);
    for (text, place) in [("a: [1", "line 1"), ("a: 1\nb: [\n", "line 2"), ("a: 1\n\tb: 2", "line 1")] {
        let [fault] = faults_of(text).try_into().unwrap();
        assert!(fault.contains(place) && !fault.contains('\n'), "{text:?}: {fault}");
    }
}

#[test]
fn duplicate_keys_are_refused_words_are_no_booleans_and_integral_floats_are_integers() {
    let [fault] = faults_of(&format!("{SMALLEST}region: us-east-1\n")).try_into().unwrap();
    assert!(fault.contains("region") && fault.contains("line 8"), "{fault}");
    let faults = faults_of(&format!("{SMALLEST}    claimCheck: no\n"));
    assert_eq!(faults, ["runtimes.0.claimCheck: must be boolean"]);
    for fine in ["name: on\n", "    attempts: 3.0\n"] {
        assert_eq!(faults_of(&format!("{SMALLEST}{fine}")), [""; 0], "{fine}");
    }
}

#[test]
fn exponential_aliases_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let before = format!("*a{}", n - 1);
        text += &format!("a{n}: &a{n} [{}]\n", [before.as_str(); 9].join(", "));
    }
    assert_eq!(faults_of(&text).len(), 1);
}

/// A valid file with these lines at its top level, these fields of the first runtime, and these further runtimes.
fn file(top: &str, fields: &str, more: &str) -> String {
    format!("{SMALLEST}{fields}{more}{top}")
}

const SNAPSHOT: &str = "snap-0123456789abcdef0";
const EXISTING: &str =
    "existing: production, vpc: vpc-01234567, subnets: [subnet-01234567], securityGroups: [sg-01234567]";

#[test]
fn a_deployment_that_cannot_work_is_refused() {
    let top = |line: &str| file(&format!("{line}\n"), "", "");
    let china = |more: &str| top(more).replace("us-west-2", "cn-north-1");
    let results = "a large task may wait 4 days; take more, 0, or `claimCheck: false`";
    for (text, faults) in [
        (top("partition: aws-cn"), vec!["partition: us-west-2 is in aws".to_owned()]),
        (
            china("cluster: { charts: 'oci://mirror' }\napi: { messageBytes: 1048576 }"),
            vec!["api.messageBytes: SNS in China accepts at most 262144".to_owned()],
        ),
        (
            china(""),
            vec!["cluster.charts: GitHub and ECR Public are not reached from China; `infra/operate mirror` fills one".to_owned()],
        ),
        (
            top("imageCache: { mode: snapshot }"),
            vec!["imageCache: lacks `snapshot`: mode `snapshot` needs one; `infra/operate cache-images` makes it and writes it here".to_owned()],
        ),
        (
            top(&format!("imageCache: {{ snapshot: {SNAPSHOT} }}")),
            vec!["imageCache.snapshot: is used in mode `snapshot` only; set `mode: snapshot` or leave it out".to_owned()],
        ),
        (
            top(&format!("imageCache: {{ mode: snapshot, snapshot: {SNAPSHOT}, initializationRate: 50 }}")),
            vec!["imageCache.initializationRate: EBS accepts 100 to 300, or 0 for its own".to_owned()],
        ),
        (
            top("imageCache: { mode: soci, initializationRate: 300 }"),
            vec!["imageCache.initializationRate: only a volume made from a snapshot is initialized; use mode `snapshot`".to_owned()],
        ),
        (
            top("cluster: { existing: production }"),
            ["vpc", "subnets", "securityGroups"].map(|field| format!("cluster: lacks `{field}`: an existing cluster needs it")).to_vec(),
        ),
        (
            top(&format!("cluster: {{ {EXISTING}, identity: irsa }}")),
            vec!["cluster: lacks `oidcProvider`: roles for service accounts of an existing cluster need it".to_owned()],
        ),
        (
            top(&format!("cluster: {{ {EXISTING}, install: {{ karpenter: false }} }}")),
            vec!["cluster: lacks `nodeRole`: the role of the nodes that Karpenter launches; needed where Karpenter is not installed here".to_owned()],
        ),
        (
            top("cluster: { vpc: vpc-01234567 }"),
            vec!["cluster.vpc: goes with `existing`; a new cluster makes its own".to_owned()],
        ),
        (
            top("cluster: { install: { karpenter: false } }"),
            vec!["cluster.install.karpenter: a new cluster has none; runtimes would not start without it".to_owned()],
        ),
        (
            top("cluster: { nodes: auto, nodeRole: nodes }"),
            vec!["cluster.nodeRole: goes with `existing`; a new cluster makes its own".to_owned()],
        ),
        (
            top("cluster: { nodes: auto }\nimageCache: { mode: soci }"),
            vec!["imageCache.mode: EKS Auto Mode pulls images in its own way; use `auto` or `none`".to_owned()],
        ),
        (
            top(&format!("cluster: {{ {EXISTING}, nodes: auto }}\nimageCache: {{ mode: soci }}")),
            vec!["imageCache.mode: EKS Auto Mode pulls images in its own way; use `auto` or `none`".to_owned()],
        ),
        (top("results: { lifetimeDays: 4 }"), vec![format!("results.lifetimeDays: {results}")]),
    ] {
        assert_eq!(faults_of(&text), faults, "{text}");
    }
    for near in [
        top("partition: aws\napi: { messageBytes: 1048576 }"),
        top(&format!(
            "cluster: {{ {EXISTING}, nodeRole: nodes, install: {{ karpenter: false, keda: false }} }}"
        )),
        top("cluster: { install: { observability: false } }"),
        top("cluster: { nodes: auto }\nimageCache: { mode: none }"),
        top(&format!("cluster: {{ {EXISTING}, nodes: auto }}")),
        top(&format!("cluster: {{ {EXISTING}, nodes: auto, install: {{ karpenter: false }} }}")),
        top(&format!("cluster: {{ {EXISTING}, nodes: auto, nodeRole: nodes }}")),
        china(&format!("cluster: {{ {EXISTING}, nodes: auto, install: {{ keda: false }} }}")),
        top(&format!("imageCache: {{ mode: snapshot, snapshot: {SNAPSHOT}, initializationRate: 300 }}")),
        top(&format!("imageCache: {{ mode: snapshot, snapshot: {SNAPSHOT} }}")),
        file("results: { lifetimeDays: 4 }\n", "    claimCheck: false\n", ""),
    ] {
        assert_eq!(faults_of(&near), [""; 0], "{near}");
    }
}

#[test]
fn a_runtime_that_cannot_work_is_refused() {
    let with = |fields: &str| file("", fields, "");
    let comfyui = |more: &str| file("", "", &format!("  - {{ name: comfyui, type: comfyui{more} }}\n"));
    let named = |name: &str| file("", "", &format!("  - {{ name: {name}, type: comfyui }}\n"));
    let schedule = |end: &str, replicas: u32| {
        let fields = format!("start: 0 8 * * *, end: {end}, timezone: UTC, replicas: {replicas}");
        with(&format!("    scaling: {{ schedules: [{{ {fields} }}] }}\n"))
    };
    let names = "ComfyUI's workflows name their checkpoints";
    for (text, fault) in [
        (named("sdruntime"), "runtimes.1.name: the queue `sdruntime` is taken".to_owned()),
        (named("sdruntime-dlq"), "runtimes.1.name: the queue `sdruntime-dlq` is taken".to_owned()),
        (named("undelivered"), "runtimes.1.name: the queue `undelivered` is taken".to_owned()),
        (
            file("subscriptions: { queues: [shop] }\n", "", "  - { name: results-shop, type: comfyui }\n"),
            "runtimes.1.name: the queue `results-shop` is taken".to_owned(),
        ),
        (
            file("", "", "  - { name: second, type: sdwebui, model: v1-5.safetensors }\n"),
            "runtimes.1: `v1-5.safetensors` is served by `sdruntime` already, and tasks are routed by it".to_owned(),
        ),
        (
            SMALLEST.replace("    model: v1-5.safetensors\n", ""),
            "runtimes.0: lacks `model`: SD WebUI starts with a checkpoint".to_owned(),
        ),
        (with("    concurrency: 2\n"), "runtimes.0.concurrency: SD WebUI runs one job at a time".to_owned()),
        (with("    nodes: { denied: [X] }\n"), "runtimes.0.nodes: SD WebUI has no nodes".to_owned()),
        (
            with("    taskTypes: [pipeline]\n"),
            "runtimes.0.taskTypes.0: SD WebUI handles `text-to-image`, `image-to-image`, `extra-single-image`, `extra-batch-images`".to_owned(),
        ),
        (
            with("    values: { nodes: { volumeGB: 5 } }\n"),
            "runtimes.0.values.nodes: does not know `volumeGB`".to_owned(),
        ),
        (
            with("    values: { nodes: { consolidateAfter: soon } }\n"),
            "runtimes.0.values.nodes.consolidateAfter: must look like ^([0-9]+(s|m|h))+$".to_owned(),
        ),
        (with("    values: { colour: blue }\n"), "runtimes.0.values: does not know `colour`".to_owned()),
        (with("    models: [b.ckpt]\n"), "runtimes.0.models: only used with `dynamicModel: true`".to_owned()),
        (with("    replicas: { min: 11 }\n"), "runtimes.0.replicas: min 11 is above max 10".to_owned()),
        (
            schedule("0 9 * * *", 11),
            "runtimes.0.scaling.schedules.0.replicas: 11 is above replicas.max 10".to_owned(),
        ),
        (
            schedule("0 8 * * *", 1),
            "runtimes.0.scaling.schedules.0: start and end are the same".to_owned(),
        ),
        (
            with("    deadlines: { drain: 105 }\n"),
            "runtimes.0.deadlines.grace: must be at least 10 s above drain (105)".to_owned(),
        ),
        (
            with("    deadlines: { run: 42000, visibility: 2000 }\n"),
            "runtimes.0.deadlines.run: with visibility at most 43200 s, as long as SQS hides a message".to_owned(),
        ),
        (
            with("    deadlines: { drain: 300, grace: 330 }\n"),
            "runtimes.0.deadlines.grace: a Spot node is gone 120 s after the notice; stay below, or set `purchase: on-demand`".to_owned(),
        ),
        (comfyui(", model: a.ckpt"), format!("runtimes.1.model: {names}")),
        (comfyui(", dynamicModel: true"), format!("runtimes.1.dynamicModel: {names}")),
        (comfyui(", taskTypes: [text-to-image]"), "runtimes.1.taskTypes.0: ComfyUI handles `pipeline`".to_owned()),
        (
            comfyui(", allowedSettings: [x]"),
            "runtimes.1.allowedSettings: ComfyUI has no settings to override".to_owned(),
        ),
        (
            comfyui(", allowedScripts: [x]"),
            "runtimes.1.allowedScripts: ComfyUI has no scripts to select".to_owned(),
        ),
    ] {
        assert_eq!(faults_of(&text), [fault], "{text}");
    }
    for near in [
        with("    models: [b.ckpt]\n    dynamicModel: true\n    replicas: { min: 10 }\n"),
        with("    instances: { purchase: on-demand }\n    deadlines: { drain: 300, grace: 310 }\n"),
        comfyui(", concurrency: 2, nodes: { denied: [X] }, taskTypes: [pipeline]"),
        with("    values: { runtime: { scratchGiB: 40 }, podMonitor: { enabled: true } }\n"),
        named("console"),
        schedule("0 9 * * *", 10),
    ] {
        assert_eq!(faults_of(&near), [""; 0], "{near}");
    }
}
