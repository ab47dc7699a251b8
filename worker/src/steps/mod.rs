//! The path of one task: read → prepare → run → store → commit → notify → end.
//!
//! What becomes of an attempt that did not get to the end is decided in `decide`, and nowhere else.
#![doc = include_str!("PROTOCOL.md")]

pub mod ack;
pub mod blame;
pub mod claim_check;
pub mod commit;
pub mod committed;
pub mod deadline;
pub mod decide;
pub mod final_failure;
pub mod in_flight;
pub mod journal;
mod media_type;
pub mod notify;
pub mod prepare;
pub mod read;
pub mod reject;
mod report;
pub mod results;
pub mod run;
pub mod store;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::keys::OutputKeys;
use shared_schema::notification::Timings;
use shared_schema::{Contract, Task};
use tokio_util::sync::CancellationToken;
use tracing::field::{Empty, display};
use tracing::{Instrument, Span};

use crate::breaker::Breaker;
use crate::claims::Claims;
use crate::cloud::lease::LeaseLost;
use crate::cloud::{Cloud, Delivery, Lease};
use crate::config::Config;
use crate::error::TaskError;
use crate::health::{HealthState, Stage};
use crate::inputs::fetch::Fetcher;
use crate::pipeline::{Pipeline, Staged, TurnError};
use crate::runtimes::{RunHandle, Runtime};
use crate::scratch::Scratch;

use ack::AckAction;
use commit::Completion;
use committed::{CommitState, Lookup};
use in_flight::InFlight;
use journal::Journal;
use read::{Assignment, Parsed};
use results::{RETRY_TIMEOUT, Results};
use run::RunResult;

/// Everything that the steps share.
pub struct Worker {
    /// What the worker was told.
    pub config: Config,
    /// Queue, bucket and topic.
    pub cloud: Cloud,
    /// Where results go, and who hears of them.
    pub results: Results,
    /// What stands beside it.
    pub runtime: Arc<dyn Runtime>,
    /// Where that writes its files, if the worker may delete them.
    pub scratch: Option<Scratch>,
    /// The rules for tasks.
    pub contract: Contract,
    /// The one way to inputs.
    pub fetcher: Fetcher,
    /// The places that tasks pass through.
    pub pipeline: Pipeline,
    /// What probes and scrapers are told.
    pub health: Arc<HealthState>,
    /// The submissions that are worked on.
    pub in_flight: InFlight,
    /// Whether the runtime is broken.
    pub breaker: Breaker,
    /// What the worker holds, for the process after this one.
    pub claims: Claims,
    /// Cancelled when the worker is to stop.
    pub stopping: CancellationToken,
    /// Cancelled when a stopping worker is about to give something back, which it must not take again itself.
    pub giving_back: CancellationToken,
}

/// A message that has been taken, with the right to work on it.
pub struct LeasedMessage {
    /// The delivery.
    pub delivery: Delivery,
    /// The right to it.
    pub lease: Lease,
    /// The run of it that a former process of this worker handed over.
    pub begun: Option<AdoptedRun>,
    /// What every log line about it is within.
    pub span: Span,
}

/// A run that the process before this one had handed to the runtime when it died.
#[derive(Debug, Clone)]
pub struct AdoptedRun {
    /// By what the runtime knows it.
    pub run: RunHandle,
    /// Whether that process may have died of it: then it is charged.
    pub is_attempt: bool,
}

impl LeasedMessage {
    /// Whether another process may have worked on the task before.
    fn came_back(&self) -> bool {
        self.begun.is_some() || self.delivery.receive_count > 1
    }
}

/// One task that is worked on.
pub(crate) struct Work<'a> {
    taken: &'a LeasedMessage,
    assignment: &'a Assignment,
    task: Result<Arc<Task>, AttemptError>,
    journal: &'a Journal,
}

/// Why a delivery's message is to be delivered again.
#[derive(Debug, Clone)]
pub enum AttemptError {
    /// The attempt failed.
    Failed(TaskError),
    /// There was none: the task has failed for good before, after so many attempts.
    FailedBefore(TaskError, u32),
    /// It was none: somebody else may have the task, at no cost. The reason is a metric's label.
    GivenBack(&'static str),
    /// The lease is gone: somebody else may have the message, so this worker does nothing more about it.
    LeaseLost,
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

impl Worker {
    /// The right to a delivery, from its receipt on.
    pub fn take(self: &Arc<Self>, delivery: Delivery, begun: Option<AdoptedRun>) -> LeasedMessage {
        let (worker, claimed) = (Arc::clone(self), delivery.without_body());
        let extended = move |until| worker.claims.set_hidden_until(&claimed, until);
        let queue = self.cloud.queue.clone();
        // An error's span is there at every level of the log, and so is the name of the task on each line about it.
        let span = tracing::error_span!(
            "task",
            task.id = Empty,
            runtime = %self.config.runtime_name,
            submission = Empty,
            message_id = %delivery.message_id,
            delivery = delivery.receive_count,
            trace = delivery.trace_header.as_deref(),
        );
        let lease =
            span.in_scope(|| Lease::keep(queue, &delivery, self.config.visibility_timeout(), extended));
        LeasedMessage { delivery, lease, begun, span }
    }

    /// Works on one message until its delivery has ended.
    pub async fn work(&self, taken: LeasedMessage, place: Staged) {
        let span = taken.span.clone();
        self.read_and_work(taken, place).instrument(span).await;
    }

    async fn read_and_work(&self, taken: LeasedMessage, place: Staged) {
        let _inside = self.health.enter();
        match read::read(&taken.delivery, &self.contract, &self.config.runtime_type.task_types()) {
            Parsed::Unreadable(cause) => self.keep_unreadable(taken, cause).await,
            Parsed::Assigned(mut assignment) => {
                taken.span.record("task.id", display(&assignment.id));
                taken.span.record("submission", display(&assignment.submission));
                self.work_on(taken, &mut assignment, place).await;
            }
        }
    }

    async fn work_on(&self, taken: LeasedMessage, assignment: &mut Assignment, place: Staged) {
        let opening = async {
            // Only then is the journal read: another delivery of the message may be about to write it.
            let alone = self.unless_stopping(self.in_flight.acquire(&assignment.submission)).await;
            let (journal, task) = tokio::join!(self.journal(&taken.delivery), self.open(assignment));
            (alone, journal, task)
        };
        // Boxed, here and below, what is many times as large as the run: a thread's stack holds it several times while it is moved.
        let Ok((alone, journal, task)) = taken.lease.hold(Box::pin(opening)).await else {
            return self.end(&taken.delivery, taken.lease, AckAction::Abandon).await;
        };
        let work = Work { taken: &taken, assignment, task, journal: &journal };
        self.health.metrics().received(journal.charged(&taken.delivery));
        let result = tokio::select! {
            result = self.attempt(&work, place) => result,
            () = self.out_of_time() => Err(AttemptError::GivenBack("shutdown")),
        };
        let is_left = work.taken.begun.is_some()
            && matches!(result, Err(AttemptError::GivenBack(_) | AttemptError::LeaseLost));
        let ending = match result {
            Ok(()) => AckAction::Delete,
            Err(AttemptError::LeaseLost) => AckAction::Abandon,
            Err(AttemptError::GivenBack(reason)) => {
                taken.lease.hold(self.give_back(&work, reason)).await.unwrap_or(AckAction::Abandon)
            }
            Err(AttemptError::Failed(error)) => {
                self.decided(&taken.lease, Box::pin(self.decide(&work, &error))).await
            }
            Err(AttemptError::FailedBefore(error, attempts)) => {
                self.decided(&taken.lease, Box::pin(self.reject(&work, &journal, &error, attempts))).await
            }
        };
        drop(alone);
        let LeasedMessage { delivery, lease, .. } = taken;
        self.end(&delivery, lease, ending).await;
        if is_left {
            // Its run may go on: the runtime is cleared of it before it gets another job.
            self.set_runtime_ready(false);
        }
    }

    /// The task, which may have to be fetched first.
    async fn open(&self, assignment: &mut Assignment) -> Result<Arc<Task>, AttemptError> {
        Ok(self.unless_stopping(self.resolve(assignment)).await??)
    }

    /// The happy path, top to bottom.
    async fn attempt(&self, work: &Work<'_>, place: Staged) -> Result<(), AttemptError> {
        let Work { taken: LeasedMessage { delivery, lease, begun, .. }, task, journal, .. } = work;
        // A message that comes back may have been worked on to the end; of another one that is all but certain not to be so.
        let patience = if work.taken.came_back() { RETRY_TIMEOUT } else { Duration::ZERO };
        let Some(keys) = self.renotify_if_committed(work, patience).await? else { return Ok(()) };
        let mut timings = Timings { queue_ms: delivery.queue_ms(), ..Timings::default() };
        self.check_attempts(delivery, journal)?;

        let clock = Instant::now();
        let task = task.clone()?;
        // A run that was begun in time is followed to its end.
        if begun.is_none() {
            deadline::check_start(&task)?;
        }
        let inputs = match begun {
            None => lease.hold(self.unless_stopping(self.prepare(&task))).await???,
            Some(_) => Vec::new(),
        };
        timings.prepare_ms = self.passed(Stage::Prepare, clock);

        let clock = Instant::now();
        let turn = match begun {
            None => lease.hold(self.pipeline.wait_for_turn(place, &self.stopping)).await??,
            Some(_) => lease.hold(self.pipeline.adopt_turn(place, &self.stopping)).await??,
        };
        if begun.is_none() {
            deadline::check_start(&task)?;
        }
        let RunResult { output, turn, began } = self.run(work, &task, inputs, turn).await?;
        self.health.metrics().stage(Stage::Wait, began.saturating_duration_since(clock));
        timings.run_ms = self.passed(Stage::Run, began);

        let _storing = lease.hold(self.pipeline.begin_storing(turn)).await?;
        let stored = self.store_and_commit(work, keys, output, &mut timings).await?;

        let clock = Instant::now();
        lease.hold(self.results.notify(&stored)).await??;
        self.passed(Stage::Notify, clock);
        self.count(&stored);
        self.claims.task_succeeded();
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

    /// Notifies once more how the task ended, if it had ended before, which is looked for with this patience; else the keys
    /// that its files may have.
    async fn renotify_if_committed(
        &self,
        work: &Work<'_>,
        patience: Duration,
    ) -> Result<Option<OutputKeys>, AttemptError> {
        let Work { taken: LeasedMessage { lease, .. }, assignment, .. } = work;
        let looking =
            self.results.find_committed(assignment, Lookup::BestEffort(patience), work.taken.came_back());
        let stored = match lease.hold(looking).await?? {
            CommitState::Open(keys) => return Ok(Some(keys)),
            CommitState::Committed(stored) => stored,
        };
        tracing::info!("already stored, notifying again");
        self.health.metrics().renotified();
        lease.hold(self.results.notify(&stored)).await??;
        Ok(None)
    }

    /// A stage that began then is over. Returns how long it took, in milliseconds.
    fn passed(&self, stage: Stage, began: Instant) -> u64 {
        let took = began.elapsed();
        self.health.metrics().stage(stage, took);
        millis(took)
    }

    fn count(&self, Completion { notification }: &Completion) {
        let metrics = self.health.metrics();
        let code = notification.error.as_ref().map(|failure| failure.code);
        metrics.completed(notification.task_status.as_str(), code);
        metrics.bytes_out(notification.outputs.iter().map(|output| output.bytes).sum());
    }

    /// Nothing of the runtime's work is lost yet, so a stop waits for nothing.
    async fn unless_stopping<T>(&self, work: impl Future<Output = T>) -> Result<T, AttemptError> {
        self.stopping.run_until_cancelled(work).await.ok_or_else(|| TurnError::Stopping.into())
    }

    /// Ends shortly before the grace period does.
    async fn out_of_time(&self) {
        self.stopping.cancelled().await;
        tokio::time::sleep(self.config.shutdown_deadline()).await;
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
