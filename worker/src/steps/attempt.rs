//! One attempt at a task: the state of its processing, and why it stops early.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::Task;
use shared_schema::keys::OutputKeys;

use super::commit::Completion;
use super::committed::{CommitState, Lookup};
use super::journal::Journal;
use super::leased::LeasedMessage;
use super::log_message::{loggable, loggable_by_text};
use super::read::Assignment;
use crate::cloud::lease::LeaseLost;
use crate::error::TaskError;
use crate::health::Stage;
use crate::pipeline::{Staged, Turn, TurnError};
use crate::worker::Worker;

/// The processing of one delivery of a task.
pub(crate) struct Attempt<'a> {
    pub(super) worker: &'a Worker,
    pub(super) leased: &'a LeasedMessage,
    pub(super) assignment: &'a Assignment,
    /// The earlier deliveries.
    pub(super) journal: &'a Journal,
    /// The task, if it could be read and is valid.
    pub(super) task: Option<Arc<Task>>,
}

/// Why an attempt did not complete the task.
#[derive(Debug, Clone)]
pub(crate) enum AttemptError {
    /// The attempt failed.
    Failed(TaskError),
    /// No attempt was made: the task had failed permanently before, after so many attempts.
    FailedBefore(TaskError, u32),
    /// The message is released and no attempt is charged. The reason is a metric's label.
    GivenBack(&'static str),
    /// The lease is lost: another worker may have the message, so this one does nothing more about it.
    LeaseLost,
}

impl AttemptError {
    /// A stable code, for traces.
    pub(super) fn code(&self) -> &str {
        match self {
            Self::Failed(error) | Self::FailedBefore(error, _) => error.code.as_str(),
            Self::GivenBack(reason) => reason,
            Self::LeaseLost => "lease_lost",
        }
    }
}

impl From<TaskError> for AttemptError {
    fn from(error: TaskError) -> Self {
        Self::Failed(error)
    }
}

impl From<LeaseLost> for AttemptError {
    fn from(LeaseLost: LeaseLost) -> Self {
        Self::LeaseLost
    }
}

impl From<TurnError> for AttemptError {
    fn from(reason: TurnError) -> Self {
        Self::GivenBack(match reason {
            TurnError::Stopping => "shutdown",
            TurnError::WaitedTooLong => "waited_too_long",
        })
    }
}

impl Attempt<'_> {
    /// Does something that needs the lease: it is cancelled when the lease is lost.
    pub(super) async fn hold<T, E: Into<AttemptError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, AttemptError> {
        self.leased.lease.hold(work).await?.map_err(Into::into)
    }

    /// Notifies again if the task is committed, which is looked up for at most this long; otherwise the keys that its files
    /// may have.
    pub(super) async fn renotify_if_committed(
        &self,
        timeout: Duration,
    ) -> Result<Option<OutputKeys>, AttemptError> {
        let Self { worker, leased, assignment, .. } = self;
        let lookup = Lookup::BestEffort(timeout);
        let finding = worker.results.find_committed(assignment, lookup, leased.is_redelivered());
        let completion = match self.hold(finding).await? {
            CommitState::Open(keys) => return Ok(Some(keys)),
            CommitState::Committed(completion) => completion,
        };
        tracing::info!("already committed, notifying again");
        worker.health.metrics().renotified();
        leased.traced.set("darkroom.outcome", "notified_again");
        self.hold(worker.results.conclude(assignment, &completion, None)).await?;
        Ok(None)
    }

    /// Waits until the runtime is free or about to be. An adopted run only needs the runtime to be ready.
    pub(super) async fn wait_for_turn(&self, permit: Staged) -> Result<Turn, AttemptError> {
        let Worker { pipeline, stopping, .. } = self.worker;
        match self.leased.adopted {
            None => self.hold(pipeline.wait_for_turn(permit, stopping)).await,
            Some(_) => self.hold(pipeline.adopt_turn(permit, stopping)).await,
        }
    }

    /// Records that a stage that began then is over. Returns its duration in milliseconds.
    pub(super) fn passed(&self, stage: Stage, began: Instant) -> u64 {
        let took = began.elapsed();
        self.worker.health.metrics().stage(stage, took);
        millis(took)
    }

    /// The message of an error as it may be logged.
    pub(super) fn loggable<'e>(&self, error: &'e TaskError) -> Cow<'e, str> {
        match &self.task {
            Some(task) => loggable(&error.message, task, &self.worker.config.runtime_type.model_names(task)),
            None => loggable_by_text(&error.message, &self.leased.delivery.body),
        }
    }

    pub(super) fn count(&self, Completion { notification }: &Completion) {
        let metrics = self.worker.health.metrics();
        let code = notification.error.as_ref().map(|failure| failure.code);
        let traced = &self.leased.traced;
        traced.set("darkroom.outcome", notification.task_status.as_str());
        if let Some(code) = code {
            traced.failed(code.as_str());
        }
        metrics.completed(notification.task_status.as_str(), code);
        metrics.images(notification.outputs.iter().filter(|output| output.width.is_some()).count());
        metrics.bytes_out(notification.outputs.iter().map(|output| output.bytes).sum());
    }
}

impl Worker {
    /// Does something that a shutdown cancels: none of the runtime's work is lost yet.
    pub(super) async fn unless_stopping<T, E: Into<AttemptError>>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, AttemptError> {
        match self.stopping.run_until_cancelled(work).await {
            Some(result) => result.map_err(Into::into),
            None => Err(TurnError::Stopping.into()),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
