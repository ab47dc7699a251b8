//! The texts are those of `infra/cdk/test/config`, so that both readers refuse the same.

use crate::{SMALLEST, faults_of};

#[test]
fn every_fault_is_named_at_once_with_its_place() {
    let mut faults = faults_of(
        "
region: nowhere
modelBucket: My_Models
colour: blue
api: { burst: 0, ratePerSecond: fast, keys: [] }
results: { urlSeconds: 604801 }
subscriptions: { queues: [a, a], webhooks: [ 'http://insecure.example.com' ] }
images: { registry: '' }
runtimes:
  - name: Upper
    type: fooocus
    deadlines: { drian: 3 }
    limits: { maxSteps: 1.5 }
  - { type: comfyui }
",
    );
    faults.sort();
    assert_eq!(
        faults,
        [
            "api.burst: must be >= 1",
            "api.keys: must NOT have fewer than 1 items",
            "api.ratePerSecond: must be number",
            "images.registry: must NOT have fewer than 1 characters",
            "modelBucket: must look like ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
            "region: must look like ^[a-z]{2}(-[a-z]+)+-[1-9]$",
            "results.urlSeconds: must be <= 604800",
            "runtimes.0.deadlines: does not know `drian`",
            "runtimes.0.limits.maxSteps: must be integer",
            "runtimes.0.name: must look like ^[a-z]([a-z0-9-]{0,22}[a-z0-9])?$",
            "runtimes.0.type: must be one of sdwebui, comfyui",
            "runtimes.1: lacks `name`",
            "subscriptions.queues: must NOT have duplicate items",
            "subscriptions.webhooks.0: must look like ^https://[^\\s]+$",
            "the file: does not know `colour`",
        ]
    );
}

#[test]
fn a_file_may_lack_what_is_required_or_be_no_yaml_or_be_nothing() {
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
fn a_key_stands_once_words_are_no_booleans_and_numbers_may_be_written_with_a_point() {
    let [fault] = faults_of(&format!("{SMALLEST}region: us-east-1\n")).try_into().unwrap();
    assert!(fault.contains("region") && fault.contains("line 8"), "{fault}");
    let told = faults_of(&format!("{SMALLEST}    claimCheck: no\n"));
    assert_eq!(told, ["runtimes.0.claimCheck: must be boolean"]);
    for fine in ["name: on\n", "    attempts: 3.0\n"] {
        assert_eq!(faults_of(&format!("{SMALLEST}{fine}")), [""; 0], "{fine}");
    }
}

#[test]
fn aliases_without_end_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..12 {
        let before = format!("*a{}", n - 1);
        text += &format!("a{n}: &a{n} [{}]\n", [before.as_str(); 9].join(", "));
    }
    assert_eq!(faults_of(&text).len(), 1);
}

#[test]
fn rules_across_fields_are_those_of_the_deployment() {
    let with = |runtime: &str| format!("{SMALLEST}{runtime}");
    let comfyui = |more: &str| with(&format!("  - {{ name: comfyui, type: comfyui{more} }}\n"));
    for (text, faults) in [
        (with("  - { name: sdruntime, type: comfyui }\n"), "runtimes.1.name: the queue `sdruntime` is taken"),
        (
            with("  - { name: sdruntime-dlq, type: comfyui }\n"),
            "runtimes.1.name: the queue `sdruntime-dlq` is taken",
        ),
        (with("  - { name: console, type: comfyui }\n"), "runtimes.1.name: the queue `console` is taken"),
        (
            with("  - { name: second, type: sdwebui, model: v1-5.safetensors }\n"),
            "runtimes.1: `v1-5.safetensors` is served by `sdruntime` already, and tasks are routed by it",
        ),
        (SMALLEST.replace("    model: v1-5.safetensors\n", ""), "runtimes.0.model: SD WebUI starts with one"),
        (with("    concurrency: 2\n"), "runtimes.0.concurrency: SD WebUI runs one job at a time"),
        (with("    nodes: { denied: [X] }\n"), "runtimes.0.nodes: SD WebUI has no nodes"),
        (with("    taskTypes: [pipeline]\n"), "runtimes.0.taskTypes: SD WebUI takes no `pipeline`"),
        (with("    models: [b.ckpt]\n"), "runtimes.0.models: only used with `dynamicModel: true`"),
        (
            with("    deadlines: { run: 42000, visibility: 2000 }\n"),
            "runtimes.0.deadlines.run: with visibility at most 43200 s, as long as SQS hides a message",
        ),
        (comfyui(", model: a.ckpt"), "runtimes.1.model: ComfyUI's workflows name their checkpoints"),
        (comfyui(", dynamicModel: true"), "runtimes.1.dynamicModel: only SD WebUI loads what a task names"),
        (comfyui(", taskTypes: [text-to-image]"), "runtimes.1.taskTypes: ComfyUI takes `pipeline` only"),
    ] {
        assert_eq!(faults_of(&text), [faults], "{text}");
    }
    for near in [
        with("    models: [b.ckpt]\n    dynamicModel: true\n"),
        comfyui(", concurrency: 2, nodes: { denied: [X] }, taskTypes: [pipeline]"),
    ] {
        assert_eq!(faults_of(&near), [""; 0], "{near}");
    }
}
