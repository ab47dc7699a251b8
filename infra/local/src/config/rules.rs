//! Rules across fields, in the words of `infra/cdk/lib/config/rules.ts`: those that this stack would stumble over.

use std::collections::{HashMap, HashSet};

use shared_schema::TaskType;

use super::{Config, Runtime};
use crate::console;

/// SQS hides a message for at most 12 hours (SQS quotas).
const LONGEST_VISIBILITY_SECONDS: u32 = 43_200;

/// Everything that is wrong with a configuration that keeps to the schema.
pub(super) fn faults(config: &Config) -> Vec<String> {
    let mut faults = names_twice(config);
    faults.extend(models_twice(&config.runtimes));
    for (n, runtime) in config.runtimes.iter().enumerate() {
        let of_runtime = runtime_faults(runtime).into_iter();
        faults.extend(of_runtime.map(|(field, text)| format!("runtimes.{n}.{field}: {text}")));
    }
    faults
}

/// Each runtime has two queues, and there are others: all of them need names of their own.
fn names_twice(config: &Config) -> Vec<String> {
    let of_results = config.subscriptions.queues.iter().map(|queue| format!("results-{queue}"));
    let others = ["undelivered", "unnotified", console::QUEUE].map(str::to_owned);
    let mut seen: HashSet<String> = of_results.chain(others).collect();
    let mut faults = Vec::new();
    for (n, Runtime { name, .. }) in config.runtimes.iter().enumerate() {
        let taken = [name.clone(), format!("{name}-dlq")].map(|queue| (seen.contains(&queue), queue));
        if let Some((_, queue)) = taken.iter().find(|(is_taken, _)| *is_taken) {
            faults.push(format!("runtimes.{n}.name: the queue `{queue}` is taken"));
        }
        seen.extend(taken.map(|(_, queue)| queue));
    }
    faults
}

/// A v1alpha1 task names only its model, so a model must lead to one runtime.
fn models_twice(runtimes: &[Runtime]) -> Vec<String> {
    let mut owners: HashMap<String, &str> = HashMap::new();
    let mut faults = Vec::new();
    for (n, runtime) in runtimes.iter().enumerate() {
        for model in runtime.served_models() {
            match owners.get(&model) {
                Some(owner) if *owner != runtime.name => faults.push(format!(
                    "runtimes.{n}: `{model}` is served by `{owner}` already, and tasks are routed by it"
                )),
                _ => drop(owners.insert(model, &runtime.name)),
            }
        }
    }
    faults
}

fn runtime_faults(runtime: &Runtime) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    let mut fault = |is_one: bool, field, text: &str| {
        if is_one {
            faults.push((field, text.to_owned()));
        }
    };
    let takes_pipelines = runtime.task_types.contains(&TaskType::Pipeline);
    let takes_others = runtime.task_types.iter().any(|task_type| *task_type != TaskType::Pipeline);
    if runtime.runtime_type == "sdwebui" {
        let has_nodes = !runtime.nodes.allowed.is_empty() || !runtime.nodes.denied.is_empty();
        fault(runtime.model.is_none(), "model", "SD WebUI starts with one");
        fault(runtime.concurrency > 1, "concurrency", "SD WebUI runs one job at a time");
        fault(has_nodes, "nodes", "SD WebUI has no nodes");
        fault(takes_pipelines, "taskTypes", "SD WebUI takes no `pipeline`");
    } else {
        fault(runtime.model.is_some(), "model", "ComfyUI's workflows name their checkpoints");
        fault(!runtime.models.is_empty(), "models", "ComfyUI's workflows name their checkpoints");
        fault(runtime.dynamic_model, "dynamicModel", "only SD WebUI loads what a task names");
        fault(takes_others, "taskTypes", "ComfyUI takes `pipeline` only");
        fault(!runtime.allowed_settings.is_empty(), "allowedSettings", "ComfyUI has no settings to override");
        fault(!runtime.allowed_scripts.is_empty(), "allowedScripts", "ComfyUI has no scripts to select");
    }
    let is_never_loaded = !runtime.models.is_empty() && !runtime.dynamic_model;
    fault(is_never_loaded, "models", "only used with `dynamicModel: true`");
    let hidden = runtime.deadlines.run.saturating_add(runtime.deadlines.visibility);
    let text =
        format!("with visibility at most {LONGEST_VISIBILITY_SECONDS} s, as long as SQS hides a message");
    fault(hidden > LONGEST_VISIBILITY_SECONDS, "deadlines.run", &text);
    faults
}
