//! The environment variables of a worker.

use std::collections::BTreeMap;

use deployment_config::{Config, Runtime};

/// The types of the runtimes, as the dead-letter function reads them.
pub(crate) fn runtime_types(config: &Config) -> String {
    let types = config.runtimes.iter().map(|runtime| format!("{}={}", runtime.name, runtime.runtime_type));
    types.collect::<Vec<_>>().join(",")
}

/// The worker's variables that follow from the file: not the addresses of queue, topic, bucket and runtime, and not the
/// shutdown of the process.
pub fn worker_variables(config: &Config, runtime: &Runtime) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("RUNTIME_NAME", runtime.name.clone()),
        ("RUNTIME_TYPE", runtime.runtime_type.clone()),
        ("DYNAMIC_SD_MODEL", runtime.dynamic_model.to_string()),
        ("EXP_CALLBACK_WHEN_RUNNING", runtime.notify_running.to_string()),
        ("INPUT_ALLOW_HOSTS", runtime.inputs.hosts.join(",")),
        ("INPUT_S3_BUCKETS", runtime.inputs.buckets.join(",")),
        ("NODES_ALLOWED", runtime.nodes.allowed.join(",")),
        ("NODES_DENIED", runtime.nodes.denied.join(",")),
        ("SETTINGS_ALLOWED", runtime.allowed_settings.join(",")),
        ("SCRIPTS_ALLOWED", runtime.allowed_scripts.join(",")),
        ("UNINTERRUPTIBLE_RUN", runtime.uninterruptible_run.clone()),
        ("MAX_PIXELS", runtime.limits.max_pixels.to_string()),
        ("MAX_STEPS", runtime.limits.max_steps.to_string()),
        ("MAX_IMAGES", runtime.limits.max_images.to_string()),
        ("MAX_ATTEMPTS", runtime.attempts.to_string()),
        ("WORKER_CONCURRENCY", runtime.concurrency.to_string()),
        ("VISIBILITY_TIMEOUT_SECONDS", runtime.deadlines.visibility.to_string()),
        ("RUN_TIMEOUT_SECONDS", runtime.deadlines.run.to_string()),
        ("URL_EXPIRY_SECONDS", config.results.url_seconds.to_string()),
    ])
}
