//! The runtimes that a worker can stand beside. Each is a folder here; nothing outside it knows its name.
//!
//! A new runtime is a folder that implements [`Runtime`], a line in [`REGISTRY`], and the schemas of its task types.

pub mod comfyui;
pub mod sdwebui;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde_json::Value;
use shared_schema::{Task, TaskId, TaskType, content};
use tokio_util::sync::CancellationToken;

use crate::error::TaskError;
use crate::inputs::Input;

/// A Stable Diffusion server beside the worker.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// One probe: `Ok` when the runtime can take a job (its API answers and a model is loaded or can be).
    async fn ready(&self) -> Result<(), TaskError>;

    /// Called once each time the runtime has become ready, before its first job.
    async fn settle(&self) -> Result<(), TaskError> {
        Ok(())
    }

    /// Runs one task and returns everything it yielded.
    ///
    /// When `job.stop` is cancelled, the run is interrupted inside the runtime, so that the next job does not wait
    /// behind it, and the error `interrupted` is returned soon. A runtime that was never asked, or that is gone, counts
    /// as interrupted.
    async fn run(&self, job: Job) -> Result<RunOutput, TaskError>;

    /// The `.out` file of a task that failed, in the words that readers of this runtime's files know.
    fn failure_report(&self, id: &TaskId, error: &TaskError, attempts: u32) -> Value;
}

/// One task, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task, as it came.
    pub task: Arc<Task>,
    /// The images (or other media) that its fields name, fetched and checked.
    pub inputs: Vec<Input>,
    /// Cancelled when the run is to end early.
    pub stop: CancellationToken,
}

/// What a run yielded.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutput {
    /// The files, in the order of their numbers.
    pub files: Vec<OutputFile>,
    /// The `.out` file, before the notification is added to it.
    pub report: Value,
}

/// One file of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// The file itself.
    pub bytes: Bytes,
    /// Its name in the runtime, if it had one; tells the type where the bytes do not.
    pub name: Option<String>,
}

/// What a runtime is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// `API_BASE_URL` as configured; absent means the runtime's own default.
    pub api_base_url: Option<String>,
    /// Whether a task may name the model to load (`DYNAMIC_SD_MODEL`).
    pub dynamic_model: bool,
    /// The most bytes that the results of one task may have.
    pub max_task_bytes: u64,
}

/// One type of runtime.
#[derive(Debug)]
pub struct RuntimeType {
    /// Its name in `RUNTIME_TYPE`.
    pub name: &'static str,
    /// Makes the client side of it. An error names the variable that is wrong.
    pub connect: fn(&RuntimeOptions) -> Result<Arc<dyn Runtime>, String>,
}

/// All types of runtimes, one line each.
pub const REGISTRY: &[RuntimeType] = &[
    RuntimeType { name: sdwebui::NAME, connect: sdwebui::connect },
    RuntimeType { name: comfyui::NAME, connect: comfyui::connect },
];

impl RuntimeType {
    /// The type of that name.
    pub fn by_name(name: &str) -> Option<&'static RuntimeType> {
        REGISTRY.iter().find(|runtime| runtime.name == name)
    }

    /// The task types that it takes.
    pub fn task_types(&self) -> &'static [TaskType] {
        content::task_types_of(self.name)
    }
}
