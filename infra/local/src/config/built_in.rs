//! What runs when no file is given: one simulation of each type, under the names that the documents use.

use serde::Deserialize;
use serde_json::json;
use simulated_runtimes::DEFAULT_MODEL;

use super::{Config, ConfigError, Runtime, schema};
use crate::aws::REGION;

impl Config {
    /// The deployment that runs when no file is given.
    pub fn built_in() -> Result<Self, ConfigError> {
        let file = json!({
            "region": REGION,
            "modelBucket": "models",
            "runtimes": [
                { "name": "sdruntime", "type": "sdwebui", "model": DEFAULT_MODEL, "notifyRunning": true },
                { "name": "comfyui", "type": "comfyui", "notifyRunning": true },
            ],
        });
        Self::check(file).map_err(|faults| ConfigError { file: "the built-in deployment".to_owned(), faults })
    }
}

impl Runtime {
    /// A runtime of which no file says anything: it takes all that its type takes, and which models it has is not known.
    pub fn unlisted(name: &str, runtime_type: &str) -> serde_json::Result<Self> {
        let said = json!({ "name": name, "type": runtime_type, "notifyRunning": true });
        Self::deserialize(schema::runtime(said))
    }
}
