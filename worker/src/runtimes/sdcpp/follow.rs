//! A job of the server, from its submission until it is over. The server sends no events and reports no progress.

use std::time::Duration;

use serde_json::Value;
use shared_schema::ErrorCode;
use tokio::time::sleep;

use super::client::{Client, Submission};
use super::interrupted;
use super::response::{Completed, JobState};
use crate::error::TaskError;
use crate::runtimes::poll_schedule::PollSchedule;
use crate::runtimes::{Job, Progress};

/// The longest interval between two polls: a result may wait that long. A poll is cheap for the server.
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// Submits the request, once the server's queue has room for it. Returns the job's id.
///
/// An interruption waits for the response to a submission: without its id, a job cannot be cancelled.
pub(super) async fn submit(client: &Client, body: &Value, job: &Job) -> Result<String, TaskError> {
    while !job.stop.is_cancelled() {
        match client.submit(body).await? {
            Submission::Accepted(id) => return Ok(id),
            Submission::QueueFull => {
                tracing::debug!("the runtime's queue is full");
                job.progress.set_waiting();
                job.stop.run_until_cancelled(sleep(MAX_INTERVAL)).await;
            }
        }
    }
    Err(interrupted())
}

/// Waits until the job is over.
///
/// A response of the server is the only sign of progress. Without one the run counts as stuck after a while; a server that is
/// gone is an error at once.
pub(super) async fn follow(client: &Client, id: &str, progress: &Progress) -> Result<Completed, TaskError> {
    let mut schedule = PollSchedule::new(Duration::MAX);
    let mut is_running = false;
    loop {
        schedule.wait_at_most(MAX_INTERVAL).await;
        match client.job(id).await {
            Ok(JobState::Queued) => progress.set_waiting(),
            Ok(JobState::Generating) => {
                if !is_running {
                    is_running = true;
                    schedule = PollSchedule::new(Duration::MAX);
                }
                progress.heartbeat();
            }
            Ok(JobState::Completed(completed)) => {
                progress.set_running();
                return Ok(completed);
            }
            Ok(JobState::Failed(error)) => {
                progress.set_running();
                return Err(error);
            }
            Ok(JobState::Cancelled) => {
                let message = "the job was cancelled in the runtime by somebody else";
                return Err(TaskError::new(ErrorCode::Interrupted, message));
            }
            Ok(JobState::Unknown | JobState::Expired) => {
                let message = "the runtime does not know the job any more; it may have been restarted";
                return Err(TaskError::new(ErrorCode::JobLost, message));
            }
            Err(error) if error.code == ErrorCode::RuntimeUnavailable && !client.is_gone().await => {
                tracing::debug!(%error, "polling the job failed");
            }
            Err(error) => return Err(error),
        }
    }
}
