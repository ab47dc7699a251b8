//! The runtimes that a worker can serve. Each is a folder here; nothing outside it knows its name.
//!
//! A new runtime is a folder that implements [`Runtime`], a line in [`REGISTRY`], and the schemas of its task types.

mod job;
mod progress;
mod registry;
mod run_output;

pub(crate) mod address;
pub(crate) mod calls;
pub mod comfyui;
pub(crate) mod error_text;
pub(crate) mod interrupt;
pub(crate) mod known_errors;
pub mod left_run;
pub mod openai_images;
pub(crate) mod poll_schedule;
pub mod sdcpp;
pub mod sdwebui;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

pub use self::job::Job;
pub use self::progress::{JobPhase, LastProgress, Position, Progress};
pub use self::registry::{Leavings, REGISTRY, RuntimeOptions, RuntimeType};
pub use self::run_output::{OutputFile, Reported, RunOutput};
use crate::error::TaskError;

/// A Stable Diffusion server in the worker's pod.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// One probe: `Ok` when the runtime can take a job (its API answers and a model is loaded or can be).
    ///
    /// `runtime_stuck` means that it answers and yet works on nothing: only a restart helps.
    async fn ready(&self) -> Result<(), TaskError>;

    /// Called once each time the runtime has become ready, before its first job: makes its settings restorable, and probes its version.
    async fn pin_settings(&self) -> Result<(), TaskError> {
        Ok(())
    }

    /// One poll whether the runtime runs or queues any job of a worker, except the runs in `keep`;
    /// such orphans are interrupted. `Ok(true)` when none is left: called again until then.
    ///
    /// For runs of the previous process of this worker, and for a run that did not stop when it was interrupted.
    async fn interrupt_orphans(&self, keep: &[RunHandle]) -> Result<bool, TaskError>;

    /// Runs one task and returns everything it yielded.
    ///
    /// May be called while another run is still going on, when that is about to end: the runtime then has the next job
    /// before it needs it, and starts it without a further call. An implementation that cannot do so waits its turn.
    ///
    /// When `job.stop` is cancelled, the run is interrupted inside the runtime, so that the next job does not wait
    /// behind it, and the error `interrupted` is returned soon. A runtime that was never asked, or that is gone, counts
    /// as interrupted. No other run may suffer from the interruption. A runtime that takes several jobs, or that cannot
    /// interrupt its runs, returns `runtime_stuck` instead when it still works on the run.
    ///
    /// A runtime that takes several jobs reports through `job.progress` when the job waits behind another one and when it
    /// begins. For any other, a run starts when the run before it has finished.
    async fn run(&self, job: Job) -> Result<RunOutput, TaskError>;

    /// Follows a run that the previous process of this worker submitted. `None` when the runtime does not know it any more,
    /// or cannot distinguish its runs.
    async fn adopt(&self, _job: Job, _handle: &RunHandle) -> Option<Result<RunOutput, TaskError>> {
        None
    }

    /// Runs a task that succeeded before, so that nothing of that run is used again: whether the runtime still can do it.
    async fn rerun(&self, job: Job) -> Result<RunOutput, TaskError> {
        self.run(job).await
    }

    /// One poll whether the process is still the one that made `run`, or any run.
    async fn process(&self, run: Option<&RunHandle>) -> Process;

    /// Called when a task's results are stored, or it has failed: nothing of the run is needed any more.
    async fn forget(&self, _handle: &RunHandle) {}

    /// The names of the folders that a run has for itself, in each of the places that [`Leavings`] names.
    fn run_folders(&self, _handle: &RunHandle) -> Vec<Uuid> {
        Vec::new()
    }

    /// Unloads models and caches, so that a task that ran out of memory has a second chance. Best effort.
    async fn free_memory(&self);
}

/// What a runtime's process has of earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Connections are refused, or the server has not started yet: there is no process with runs.
    Gone,
    /// It answers, and knows of no such run.
    Fresh,
    /// It knows of the run, or does not say.
    Same,
}

/// A runtime's identification of one of its runs; kept in a file, so that it survives the worker's process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunHandle(pub Value);
