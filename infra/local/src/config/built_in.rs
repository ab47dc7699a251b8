//! The deployment without a file: one simulation of each type that a predecessor has, under the names that the documents use.

use deployment_config::{Checked, Config, ConfigError};
use serde_json::json;
use simulated_runtimes::DEFAULT_MODEL;

use crate::aws::REGION;

/// The deployment that runs without a file.
///
/// # Errors
///
/// When the rules of a deployment have changed and it does not follow them.
pub fn built_in() -> Result<Config, ConfigError> {
    let file = json!({
        "region": REGION,
        "modelBucket": "models",
        "runtimes": [
            { "name": "sdruntime", "type": "sdwebui", "model": DEFAULT_MODEL, "notifyRunning": true },
            { "name": "comfyui", "type": "comfyui", "notifyRunning": true },
        ],
    });
    let checked = Checked::check(file);
    let named = |faults| ConfigError { file: "the built-in deployment".to_owned(), faults };
    checked.map(|checked| checked.config).map_err(named)
}
