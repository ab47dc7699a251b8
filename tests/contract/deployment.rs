//! The variables of the programs of one deployment, as the local stack sets them.

use deployment_config::Config;
use local_stack::config;
use serde_json::{Value, json};

/// The front door's `RUNTIMES`.
pub(crate) fn registry(config: &Config) -> serde_json::Result<Value> {
    serde_json::to_value(deployment_config::registry(&config.runtimes))
}

/// The variables of each runtime's worker that follow from the file alone.
pub(crate) fn worker_settings(config: &Config) -> Value {
    let of_runtime = config.runtimes.iter().map(|runtime| {
        let variables = json!(config::worker_variables(config, runtime));
        (runtime.name.clone(), variables)
    });
    Value::Object(of_runtime.collect())
}
