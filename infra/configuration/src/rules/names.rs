//! Duplicate names: of queues, and of models that tasks are routed by.

use std::collections::{HashMap, HashSet};

use crate::config::{Config, Runtime};

pub(super) fn faults(config: &Config) -> Vec<String> {
    let mut faults = duplicate_queues(config);
    faults.extend(duplicate_models(&config.runtimes));
    faults
}

/// Each runtime has two queues, and there are others: all of them need unique names.
fn duplicate_queues(config: &Config) -> Vec<String> {
    let of_results = config.subscriptions.queues.iter().map(|queue| format!("results-{queue}"));
    let others = ["undelivered", "unnotified"].map(str::to_owned);
    let mut seen: HashSet<String> = of_results.chain(others).collect();
    let mut faults = Vec::new();
    for (n, Runtime { name, .. }) in config.runtimes.iter().enumerate() {
        let used = [name.clone(), format!("{name}-dlq")].map(|queue| (seen.contains(&queue), queue));
        if let Some((_, queue)) = used.iter().find(|(is_used, _)| *is_used) {
            faults.push(format!("runtimes.{n}.name: the queue `{queue}` is taken"));
        }
        seen.extend(used.map(|(_, queue)| queue));
    }
    faults
}

/// A v1alpha1 task names only its model, so a model must lead to one runtime.
fn duplicate_models(runtimes: &[Runtime]) -> Vec<String> {
    let mut owners: HashMap<String, &str> = HashMap::new();
    let mut faults = Vec::new();
    for (n, runtime) in runtimes.iter().enumerate() {
        for model in runtime.served_models() {
            match owners.get(&model) {
                Some(owner) if *owner != runtime.name => faults.push(format!(
                    "runtimes.{n}: `{model}` is served by `{owner}` already, and tasks are routed by it"
                )),
                _ => {
                    owners.insert(model, &runtime.name);
                }
            }
        }
    }
    faults
}
