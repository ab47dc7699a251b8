//! Names that would collide: queues, and models that tasks are routed by.

use std::collections::{HashMap, HashSet};

use crate::config::{Config, Runtime};

pub(super) fn faults(config: &Config) -> Vec<String> {
    let mut faults = names_twice(config);
    faults.extend(models_twice(&config.runtimes));
    faults
}

/// Each runtime has two queues, and there are others: all of them need names of their own.
fn names_twice(config: &Config) -> Vec<String> {
    let of_results = config.subscriptions.queues.iter().map(|queue| format!("results-{queue}"));
    let others = ["undelivered", "unnotified"].map(str::to_owned);
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
                _ => {
                    owners.insert(model, &runtime.name);
                }
            }
        }
    }
    faults
}
