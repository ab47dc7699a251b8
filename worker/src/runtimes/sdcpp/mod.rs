//! stable-diffusion.cpp: requests to `img_gen` become jobs of its server, each with an id.
//!
//! The server cancels a job that waits in its queue, but not one that it works on: `jobs` remembers such a job, and the worker
//! waits until it is over, or requests a restart. Names that the server would replace are checked before the run
//! (`capabilities`).

mod capabilities;
mod client;
mod follow;
mod infotext;
mod jobs;
mod request;
mod response;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use shared_schema::{ErrorCode, TaskId};

use self::client::Client;
use self::jobs::{Cancelled, Jobs};
use self::response::JobState;
use super::interrupt::{interrupted, unless_stopped};
use super::left_run::LeftRun;
use super::{Job, Leavings, Process, RunHandle, RunOutput, Runtime, RuntimeOptions, address};
use crate::error::TaskError;

/// The address of the container image.
pub const DEFAULT_ADDRESS: &str = "http://localhost:8080/sdcpp/v1/";

/// It writes no files: images are in its responses.
pub const LEAVINGS: Leavings = Leavings { roots: &[], run_folder: "", disposable: &[] };

/// Validates the address.
pub fn check_options(options: &RuntimeOptions) -> Result<(), String> {
    address::parse(options.api_base_url.as_deref(), DEFAULT_ADDRESS).map(drop)
}

/// Creates the client of the server at `API_BASE_URL`. Connects to nothing yet.
pub fn connect(options: &RuntimeOptions) -> Result<Arc<dyn Runtime>, String> {
    let left = LeftRun::new(options.uninterruptible_run, options.stuck_after);
    Ok(Arc::new(SdCpp { client: Client::new(options)?, jobs: Jobs::new(left) }))
}

struct SdCpp {
    client: Client,
    jobs: Jobs,
}

#[async_trait]
impl Runtime for SdCpp {
    /// The server opens its port after it has read the model's file: with `--eager-load` all of it, otherwise the names of tensors.
    async fn ready(&self) -> Result<(), TaskError> {
        if self.client.capabilities().await?.makes_images() {
            return Ok(());
        }
        let message = "the runtime's model makes no images (`supported_modes` lacks `img_gen`)";
        Err(TaskError::new(ErrorCode::RuntimeUnavailable, message))
    }

    /// The server lists no jobs: only those whose ids are known to this worker are found.
    async fn interrupt_orphans(&self, keep: &[RunHandle]) -> Result<bool, TaskError> {
        let mut still_runs = false;
        for id in self.jobs.orphans(keep.iter().filter_map(job_id)) {
            still_runs |= matches!(self.jobs.cancel(&self.client, &id).await, Cancelled::StillRuns);
        }
        self.jobs.check_left_run(still_runs)?;
        Ok(!still_runs)
    }

    async fn run(&self, job: Job) -> Result<RunOutput, TaskError> {
        let mut fields = request::build(&job.task, &job.inputs);
        unless_stopped(&job.stop, self.client.capabilities()).await?.resolve(&mut fields)?;
        let id = follow::submit(&self.client, &Value::Object(fields), &job).await?;
        job.handles.send(RunHandle(json!(id))).ok();
        tracing::debug!(job_id = id, "job submitted");
        self.finish(&job, &id).await
    }

    /// The server deletes jobs 10 minutes after they are over, and all of them when its process exits.
    async fn adopt(&self, job: Job, handle: &RunHandle) -> Option<Result<RunOutput, TaskError>> {
        let id = job_id(handle)?;
        match self.finish(&job, &id).await {
            Err(error) if error.code == ErrorCode::JobLost => None,
            result => Some(result),
        }
    }

    async fn process(&self, run: Option<&RunHandle>) -> Process {
        let Some(id) = run.and_then(job_id) else {
            return if self.client.is_gone().await { Process::Gone } else { Process::Same };
        };
        match self.client.job(&id).await {
            Ok(JobState::Unknown) => Process::Fresh,
            Err(_) if self.client.is_gone().await => Process::Gone,
            _ => Process::Same,
        }
    }

    /// The server has no call for it; it frees the memory of a job with the job.
    async fn free_memory(&self) {}
}

impl SdCpp {
    /// Follows the job until it is over. One that is stopped, or cannot be followed, is cancelled.
    async fn finish(&self, job: &Job, id: &str) -> Result<RunOutput, TaskError> {
        let _followed = self.jobs.follow(id);
        let following = follow::follow(&self.client, id, &job.progress);
        let error = match job.stop.run_until_cancelled(following).await {
            Some(Ok(completed)) => {
                self.jobs.remove(id);
                return completed.output(&job.task);
            }
            Some(Err(error)) => error,
            None => interrupted(),
        };
        match self.jobs.cancel(&self.client, id).await {
            // It was over before: its results count.
            Cancelled::Completed(completed) => completed.output(&job.task),
            Cancelled::Over => Err(error),
            Cancelled::StillRuns if error.code == ErrorCode::Interrupted => {
                let message = "the runtime still works on a job that was stopped, and cannot interrupt it";
                Err(TaskError::new(ErrorCode::RuntimeStuck, message))
            }
            Cancelled::StillRuns => Err(error),
        }
    }
}

/// The id of the job that a handle names. `None` when it is not of this form.
fn job_id(handle: &RunHandle) -> Option<String> {
    let id = handle.0.as_str()?;
    client::is_id(id).then(|| id.to_owned())
}

/// The `.out` file of a task that failed.
pub fn failure_report(_id: &TaskId, error: &TaskError, attempts: u32) -> Value {
    json!({ "error": error.failure(attempts), "reason": error.reason })
}
