//! The path of one task: read → prepare → run → store → commit → notify → end.
//!
//! A delivery ends in exactly one of three ways, decided here and nowhere else: done (the message is deleted), retry
//! (it is given back), rejected (its failure is stored and notified, then it is deleted).

pub mod claim_check;
pub mod commit;
pub mod end;
pub mod notify;
pub mod prepare;
pub mod read;
pub mod run;
pub mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::notification::Timings;
use shared_schema::{Contract, ErrorCode};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::cloud::{Cloud, Delivery, Lease};
use crate::config::Config;
use crate::error::TaskError;
use crate::inputs::fetch::Fetcher;
use crate::runtimes::Runtime;

use commit::Stored;
use end::Ending;
use read::{Assignment, Read};

/// Everything that the steps share.
pub struct Worker {
    /// What the worker was told.
    pub config: Config,
    /// Queue, bucket and topic.
    pub cloud: Cloud,
    /// What stands beside it.
    pub runtime: Arc<dyn Runtime>,
    /// The rules for tasks.
    pub contract: Contract,
    /// The one way to inputs.
    pub fetcher: Fetcher,
    /// Cancelled when the worker is to stop.
    pub stopping: CancellationToken,
}

/// Why a delivery's message is to be delivered again.
#[derive(Debug)]
pub enum Stop {
    /// The attempt failed.
    Failed(TaskError),
    /// The lease is gone: somebody else may have the message, so this worker does nothing more about it.
    LeaseLost,
}

impl From<TaskError> for Stop {
    fn from(error: TaskError) -> Self {
        Self::Failed(error)
    }
}

impl Worker {
    /// Works on one delivery until it has ended. Returns the code of the failure, if the attempt failed.
    pub async fn work(&self, delivery: Delivery) -> Option<ErrorCode> {
        match read::read(&delivery, &self.contract, self.config.runtime_type.task_types()) {
            Read::Unreadable(cause) => self.keep_unreadable(&delivery, cause).await,
            Read::Assigned(mut assignment) => {
                let span = tracing::info_span!(
                    "task",
                    task.id = %assignment.id,
                    runtime = %self.config.runtime_name,
                    submission = %assignment.submission,
                    attempt = delivery.receive_count,
                    trace = delivery.trace_header.as_deref(),
                );
                self.work_assignment(&delivery, &mut assignment).instrument(span).await
            }
        }
    }

    async fn work_assignment(&self, delivery: &Delivery, assignment: &mut Assignment) -> Option<ErrorCode> {
        let lease = Lease::keep(
            self.cloud.queue.clone(),
            delivery.receipt_handle.clone(),
            self.config.visibility_timeout(),
        );
        let result = self.attempt(delivery, assignment, &lease).await;
        let failed = match &result {
            Err(Stop::Failed(error)) => Some(error.code),
            _ => None,
        };
        let ending = match result {
            Ok(()) => Ending::Done,
            Err(Stop::LeaseLost) => Ending::Abandoned,
            Err(Stop::Failed(error)) => self.decide(delivery, assignment, error).await,
        };
        drop(lease);
        self.end(delivery, ending).await;
        failed
    }

    /// The happy path, top to bottom.
    async fn attempt(
        &self,
        delivery: &Delivery,
        assignment: &mut Assignment,
        lease: &Lease,
    ) -> Result<(), Stop> {
        if let Some(stored) = self.committed(delivery, assignment).await {
            tracing::info!("already stored, notifying again");
            return Ok(self.notify(&stored).await?);
        }
        let mut timings = Timings { queue_ms: delivery.queue_ms(), ..Timings::default() };

        let begun = Instant::now();
        let task = self.resolve(assignment).await?;
        let inputs = self.prepare(&task).await?;
        timings.prepare_ms = millis(begun.elapsed());

        self.notify_running(assignment).await;
        let begun = Instant::now();
        let output = self.run(task, inputs, lease).await?;
        timings.run_ms = millis(begun.elapsed());

        let begun = Instant::now();
        let outputs = self.store_files(assignment, output.files, lease).await?;
        timings.store_ms = millis(begun.elapsed());

        let stored = Stored::succeeded(self, assignment, outputs, timings);
        self.commit(assignment, output.report, &stored, lease).await?;
        self.notify(&stored).await?;
        tracing::info!(
            outputs = stored.notification.outputs.len(),
            queue_ms = timings.queue_ms,
            prepare_ms = timings.prepare_ms,
            run_ms = timings.run_ms,
            store_ms = timings.store_ms,
            "task succeeded"
        );
        Ok(())
    }

    /// What becomes of a failed attempt: another one, or the end.
    async fn decide(&self, delivery: &Delivery, assignment: &Assignment, error: TaskError) -> Ending {
        let attempts = delivery.receive_count;
        if error.code == ErrorCode::ShuttingDown {
            return Ending::Retry(Duration::ZERO);
        }
        if error.is_retryable() && attempts < self.config.max_attempts {
            tracing::warn!(error.code = %error.code, error.message = %error.message, "attempt failed, will be retried");
            return Ending::retry_after(attempts);
        }
        match self.reject(assignment, &error, delivery).await {
            Ok(()) => {
                tracing::warn!(error.code = %error.code, error.message = %error.message, "task failed");
                Ending::Done
            }
            Err(error) => {
                tracing::error!(error.code = %error.code, "failure could not be stored or notified, will be retried");
                Ending::retry_after(attempts)
            }
        }
    }

    /// Stores the failure of a task and notifies it.
    async fn reject(
        &self,
        assignment: &Assignment,
        error: &TaskError,
        delivery: &Delivery,
    ) -> Result<(), TaskError> {
        let timings = Timings { queue_ms: delivery.queue_ms(), ..Timings::default() };
        let attempts = delivery.receive_count;
        let stored = Stored::failed(self, assignment, error.failure(attempts), timings);
        let report = (self.config.runtime_type.failure_report)(&assignment.id, error, attempts);
        self.write_out(assignment, report, &stored).await?;
        self.notify(&stored).await
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
