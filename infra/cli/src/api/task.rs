//! The parts of responses that the program uses. Fields that a later version adds are ignored, and only shown by `--json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use shared_schema::notification::Timings;

/// A task.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Task {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: Value,
    pub(crate) runtime: String,
    #[serde(rename = "type")]
    pub(crate) task_type: String,
    pub(crate) status: String,
    #[serde(default)]
    pub(crate) cancel_requested: bool,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) finished_at: Option<String>,
    #[serde(default)]
    pub(crate) attempts: u32,
    pub(crate) progress: Option<Progress>,
    #[serde(default)]
    pub(crate) outputs: Vec<Output>,
    pub(crate) error: Option<Failure>,
    pub(crate) timings: Option<Timings>,
    pub(crate) retry_of: Option<String>,
    pub(crate) retried_as: Option<String>,
}

impl Task {
    /// Whether its status will not change any more. An unknown status is one of a later version: it is not waited for.
    pub(crate) fn is_finished(&self) -> bool {
        !matches!(self.status.as_str(), "queued" | "running")
    }

    pub(crate) fn has_succeeded(&self) -> bool {
        self.status == "succeeded"
    }
}

/// The progress of a run.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Progress {
    pub(crate) fraction: f64,
    pub(crate) step: Option<u64>,
    pub(crate) steps: Option<u64>,
    pub(crate) node: Option<String>,
}

/// A stored file.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Output {
    pub(crate) s3_uri: String,
    pub(crate) url: Option<String>,
    pub(crate) content_type: String,
    pub(crate) bytes: u64,
    pub(crate) width: Option<u64>,
    pub(crate) height: Option<u64>,
}

/// Why a task failed.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Failure {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// A page of the list.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TaskPage {
    pub(crate) tasks: Vec<Value>,
    pub(crate) next_cursor: Option<String>,
}

/// The deployed runtimes.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct RuntimeList {
    pub(super) runtimes: Vec<Runtime>,
}

/// A runtime.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Runtime {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) runtime_type: String,
    #[serde(default)]
    pub(crate) models: Vec<String>,
    pub(crate) backlog: Option<Backlog>,
    pub(crate) task_types: Vec<RuntimeTaskType>,
}

/// How many tasks a runtime has.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct Backlog {
    pub(crate) waiting: u64,
    pub(crate) in_flight: u64,
}

/// A task type of a runtime.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RuntimeTaskType {
    #[serde(rename = "type")]
    pub(crate) task_type: String,
}

impl Runtime {
    pub(crate) fn accepts(&self, task_type: &str) -> bool {
        self.task_types.iter().any(|known| known.task_type == task_type)
    }
}
