//! A runtime of the configuration: meanings, units and ranges are in the schema.

use serde::Deserialize;
use serde_json::json;
use shared_schema::TaskType;

use crate::schema;

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
    /// How many pods.
    pub replicas: Replicas,
    /// When there are how many pods.
    pub scaling: Scaling,
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

/// How many pods, each with one GPU.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Replicas {
    /// Pods that always run.
    pub min: u32,
    /// Pods at most.
    pub max: u32,
}

/// When there are how many pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Scaling {
    /// Times with at least so many pods.
    pub schedules: Vec<Schedule>,
}

/// A time with at least so many pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Schedule {
    /// Five cron fields.
    pub start: String,
    /// Five cron fields.
    pub end: String,
    /// Pods at least.
    pub replicas: u32,
}

/// Bounds of time, in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Deadlines {
    /// The longest run.
    pub run: u32,
    /// What a running task may still take when its pod has to stop.
    pub drain: u32,
    /// The pod's `terminationGracePeriodSeconds`.
    pub grace: u32,
    /// How long a task stays hidden after its worker's last sign of life.
    pub visibility: u32,
}

impl Runtime {
    /// A runtime of which no file says anything: it accepts all that its type accepts, and which models it has is not known.
    ///
    /// # Errors
    ///
    /// When the schema lacks a default.
    pub fn unlisted(name: &str, runtime_type: &str) -> serde_json::Result<Self> {
        let known = json!({ "name": name, "type": runtime_type, "notifyRunning": true });
        Self::deserialize(schema::runtime(known))
    }

    /// The checkpoints that lead to it; none means any.
    pub fn served_models(&self) -> Vec<String> {
        let mut served: Vec<String> = self.model.iter().cloned().collect();
        served.extend(self.models.iter().filter(|model| Some(*model) != self.model.as_ref()).cloned());
        served
    }
}
