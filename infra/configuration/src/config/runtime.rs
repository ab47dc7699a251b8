//! A runtime of the configuration: meanings, units and ranges are in the schema.

use serde::Deserialize;
use serde_json::{Value, json};
use shared_schema::TaskType;

use crate::schema;

/// A runtime.
#[derive(Debug, Clone, PartialEq, Deserialize)]
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
    /// The only task types that it accepts; empty means all of its type.
    pub task_types: Vec<TaskType>,
    /// What one task may ask for.
    pub limits: Limits,
    /// Which classes of nodes workflows may have.
    pub nodes: Nodes,
    /// Settings of extensions that tasks may override.
    pub allowed_settings: Vec<String>,
    /// Scripts that tasks may select although they run with parameters of their own.
    pub allowed_scripts: Vec<String>,
    /// What is done about a run that exceeds its time and cannot be interrupted: `wait` or `restart`.
    pub uninterruptible_run: String,
    /// Whether it accepts tasks that are too large for a message.
    pub claim_check: bool,
    /// Where input images may come from, besides every public address.
    pub inputs: Inputs,
    /// How many jobs are submitted to the runtime at the same time.
    pub concurrency: u32,
    /// Whether a notification is also sent when a task starts.
    pub notify_running: bool,
    /// Further values of the chart.
    pub values: Value,
    /// What an hour of its GPU costs, in US dollars, if the cost of tasks is shown.
    pub hourly_price: Option<f64>,
    /// The range of the number of pods.
    pub replicas: Replicas,
    /// When the number of pods changes.
    pub scaling: Scaling,
    /// Time limits.
    pub deadlines: Deadlines,
    /// Attempts before a retryable failure becomes final.
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

/// The range of the number of pods, each with one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Replicas {
    /// Pods that always run.
    pub min: u32,
    /// The maximum number of pods.
    pub max: u32,
}

/// When the number of pods changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Scaling {
    /// Periods with a minimum number of pods.
    pub schedules: Vec<Schedule>,
}

/// A period with a minimum number of pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Schedule {
    /// Five cron fields.
    pub start: String,
    /// Five cron fields.
    pub end: String,
    /// The minimum number of pods.
    pub replicas: u32,
}

/// Time limits, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deadlines {
    /// The longest run.
    pub run: u32,
    /// How long a running task may continue during a graceful shutdown.
    pub drain: u32,
    /// The pod's `terminationGracePeriodSeconds`.
    pub grace: u32,
    /// The visibility timeout: how long a task stays hidden after its worker's last extension.
    pub visibility: u32,
}

impl Runtime {
    /// A runtime that is in no file: it accepts all that its type accepts, and its models are unknown.
    ///
    /// # Errors
    ///
    /// When the schema lacks a default.
    pub fn unlisted(name: &str, runtime_type: &str) -> serde_json::Result<Self> {
        let known = json!({ "name": name, "type": runtime_type, "notifyRunning": true });
        Self::deserialize(schema::runtime(known))
    }

    /// The checkpoints whose tasks are routed to it; none means any.
    pub fn served_models(&self) -> Vec<String> {
        let mut served: Vec<String> = self.model.iter().cloned().collect();
        served.extend(self.models.iter().filter(|model| Some(*model) != self.model.as_ref()).cloned());
        served
    }
}
