//! The deployment's file, such as `infra/config.yaml`: as far as this stack runs it, and by the rules of a deployment.

mod built_in;
mod defaults;
mod registry;
mod rules;
mod schema;
mod variables;
mod yaml;

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use shared_schema::TaskType;

pub use registry::registry;
pub use variables::worker_variables;

/// What is deployed. What concerns only AWS (cluster, images, alarms) is checked and not kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Config {
    /// The beginning of every name.
    pub name: String,
    /// The front door.
    pub api: Api,
    /// What becomes of results.
    pub results: Results,
    /// Who hears of results.
    pub subscriptions: Subscriptions,
    /// The runtimes, each with a queue and a worker.
    pub runtimes: Vec<Runtime>,
}

/// The front door.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Api {
    /// The largest message that is published, in bytes.
    pub message_bytes: u32,
}

/// What becomes of results.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Results {
    /// How long presigned URLs work, in seconds.
    pub url_seconds: u32,
}

/// Who hears of results.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Subscriptions {
    /// Addresses that get an email; nothing sends one here.
    pub emails: Vec<String>,
    /// HTTPS addresses that get a POST; nothing sends one here.
    pub webhooks: Vec<String>,
    /// Queues that are made: `<name>-results-<this>`.
    pub queues: Vec<String>,
}

/// A runtime.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Runtime {
    /// Its name, which is also its queue's.
    pub name: String,
    /// Its type, as the worker's `RUNTIME_TYPE` names it.
    #[serde(rename = "type")]
    pub runtime_type: String,
    /// The checkpoint that it starts with.
    pub model: Option<String>,
    /// Further checkpoints that tasks may name.
    pub models: Vec<String>,
    /// Whether the checkpoint is loaded that a task names.
    pub dynamic_model: bool,
    /// The only task types that it takes; empty means all of its type.
    pub task_types: Vec<TaskType>,
    /// What one task may ask for.
    pub limits: Limits,
    /// Which classes of nodes workflows may have.
    pub nodes: Nodes,
    /// Settings of extensions that tasks may override.
    pub allowed_settings: Vec<String>,
    /// Scripts that tasks may select although they run with parameters of their own.
    pub allowed_scripts: Vec<String>,
    /// Whether it takes tasks that are too large for a message.
    pub claim_check: bool,
    /// Where input images may come from, besides every public address.
    pub inputs: Inputs,
    /// How many jobs the runtime is given at once.
    pub concurrency: u32,
    /// Notify when a task begins, too.
    pub notify_running: bool,
    /// Bounds of time.
    pub deadlines: Deadlines,
    /// Attempts before a failure that a retry might cure is final.
    pub attempts: u32,
}

/// What one task may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Width times height of one image.
    pub max_pixels: u64,
    /// Sampling steps.
    pub max_steps: u64,
    /// Images of one task.
    pub max_images: u64,
    /// The content as JSON, in bytes; unlimited if absent.
    pub max_bytes: Option<u64>,
}

/// Which classes of nodes workflows may have.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Nodes {
    /// Only these, unless empty.
    pub allowed: Vec<String>,
    /// None of these.
    pub denied: Vec<String>,
}

/// Where input images may come from, besides every public address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Inputs {
    /// Hosts, host:port or networks that are not public.
    pub hosts: Vec<String>,
    /// Buckets that `s3://` addresses may name.
    pub buckets: Vec<String>,
}

/// Bounds of time, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deadlines {
    /// The longest run.
    pub run: u32,
    /// How long a task stays hidden after its worker's last sign of life.
    pub visibility: u32,
}

/// What is wrong with a file: one line per fault, each with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: String,
    /// What is wrong with it, such as `runtimes.0.type: must be one of sdwebui, comfyui`.
    pub faults: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be deployed:", self.file)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    ///
    /// Names everything that is wrong with it.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("it cannot be read: {error}"));
        let read = text.map_err(|fault| vec![fault]).and_then(|text| Self::parse(&text));
        read.map_err(|faults| ConfigError { file: file.display().to_string(), faults })
    }

    /// The same for a text; the error is what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        Self::check(yaml::parse(text).map_err(|fault| vec![fault])?)
    }

    fn check(file: Value) -> Result<Self, Vec<String>> {
        let config = schema::checked(file)?;
        let config = Self::deserialize(config).map_err(|error| vec![error.to_string()])?;
        match rules::faults(&config) {
            faults if faults.is_empty() => Ok(config),
            faults => Err(faults),
        }
    }
}

impl Runtime {
    /// The checkpoints that lead to it; none means any.
    pub fn served_models(&self) -> Vec<String> {
        let mut served: Vec<String> = self.model.iter().cloned().collect();
        served.extend(self.models.iter().filter(|model| Some(*model) != self.model.as_ref()).cloned());
        served
    }
}
