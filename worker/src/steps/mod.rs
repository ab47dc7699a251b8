//! The path of one task: read → prepare → run → store → commit → notify → acknowledge.
//!
//! `decide` alone decides what follows an attempt that did not succeed.
#![doc = include_str!("PROTOCOL.md")]

// In the order of the path.
pub(crate) mod leased;

pub(crate) mod in_flight;
pub(crate) mod journal;
pub(crate) mod read;

mod assets;
mod attempt;
mod claim_check;
mod deadline;
mod prepare;

mod bounds;
mod run;
mod run_once;
mod track;
mod watch;

mod media_type;
mod report;
mod store;

pub(crate) mod commit;
pub(crate) mod committed;
mod notify;
mod record;
pub(crate) mod results;

mod blame;
mod decide;
pub(crate) mod final_failure;
pub(crate) mod log_message;
pub(crate) mod reject;

mod ack;

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::Task;
use shared_schema::notification::Timings;
use tracing::Instrument;
use tracing::field::display;

use crate::health::Stage;
use crate::pipeline::Staged;
use crate::spans;
use crate::worker::Worker;

use ack::AckAction;
pub(crate) use attempt::{Attempt, AttemptError};
use journal::Journal;
pub(crate) use leased::{AdoptedRun, LeasedMessage};
use read::{Assignment, Parsed};
use results::RETRY_TIMEOUT;
use run::RunResult;

impl Worker {
    /// Processes one message, until it is deleted or released, or its lease is lost.
    pub(crate) async fn process(&self, leased: LeasedMessage, permit: Staged) {
        let (span, traced) = (leased.span.clone(), Arc::clone(&leased.traced));
        traced.within(self.process_in_span(leased, permit)).instrument(span).await;
    }

    async fn process_in_span(&self, leased: LeasedMessage, permit: Staged) {
        let _guard = self.health.enter();
        match read::parse(&leased.delivery) {
            Parsed::Unreadable(cause) => self.keep_unreadable(leased, cause).await,
            Parsed::Assigned(mut assignment) => {
                leased.span.record("task.id", display(&assignment.id));
                leased.span.record("submission", display(&assignment.submission));
                spans::assigned(&leased.traced, &assignment, &self.config.runtime_name);
                // Large futures are boxed, here and below: while one is moved, a thread's stack holds several copies of it.
                Box::pin(self.process_task(leased, &mut assignment, permit)).await;
            }
        }
    }

    async fn process_task(&self, leased: LeasedMessage, assignment: &mut Assignment, permit: Staged) {
        let opening = async {
            // First: another delivery of the same submission may be about to write the journal.
            let waiting = self.in_flight.acquire(&assignment.submission);
            let guard = self.stopping.run_until_cancelled(waiting).await;
            let reading = Journal::of(&self.cloud.store, &leased.delivery, &self.stopping);
            let (journal, task) = tokio::join!(reading, self.load(assignment));
            (guard, journal, task)
        };
        let Ok((guard, journal, task)) = leased.lease.hold(Box::pin(opening)).await else {
            return self.acknowledge(leased, AckAction::Abandon).await;
        };
        let attempt = journal.charged(&leased.delivery);
        let age = Duration::from_millis(leased.delivery.queue_ms());
        self.health.metrics().received(attempt, age);
        leased.traced.set("darkroom.attempt", i64::from(attempt));
        let known_task = task.as_ref().ok().cloned();
        let attempt =
            Attempt { worker: self, leased: &leased, assignment, journal: &journal, task: known_task };
        let result = tokio::select! {
            result = Box::pin(attempt.complete(task, permit)) => result,
            () = self.shutdown_deadline() => Err(AttemptError::GivenBack("shutdown")),
        };
        let may_still_run = leased.adopted.is_some()
            && matches!(result, Err(AttemptError::GivenBack(_) | AttemptError::LeaseLost));
        let action = attempt.decide(result).await;
        drop(guard);
        self.acknowledge(leased, action).await;
        if may_still_run {
            // Probes interrupt the adopted run before the runtime gets another job.
            self.set_runtime_ready(false);
        }
    }
}

impl Attempt<'_> {
    /// The happy path, top to bottom.
    async fn complete(
        &self,
        task: Result<Arc<Task>, AttemptError>,
        permit: Staged,
    ) -> Result<(), AttemptError> {
        let Self { worker, leased, assignment, .. } = self;
        let is_new = leased.adopted.is_none();
        // Only a redelivered task may be committed already, apart from rare duplicates.
        let lookup_timeout = if leased.is_redelivered() { RETRY_TIMEOUT } else { Duration::ZERO };
        let Some(keys) = self.renotify_if_committed(lookup_timeout).await? else { return Ok(()) };
        let mut timings = Timings { queue_ms: leased.delivery.queue_ms(), ..Timings::default() };
        self.check_attempts()?;

        let clock = Instant::now();
        let task = task?;
        // `start_by` does not apply to an adopted run, which has started.
        if is_new {
            deadline::check_start(&task)?;
        }
        let inputs = if is_new { self.prepare(&task).await? } else { Vec::new() };
        timings.prepare_ms = self.passed(Stage::Prepare, clock);

        let (clock, waiting) = (Instant::now(), spans::WAIT.start());
        let turn = self.wait_for_turn(permit).await?;
        drop(waiting);
        if is_new {
            deadline::check_start(&task)?;
        }
        self.record_start().await?;
        let RunResult { output, turn, began } = self.run(&task, inputs, turn).await?;
        worker.health.metrics().stage(Stage::Wait, began.saturating_duration_since(clock));
        timings.run_ms = self.passed(Stage::Run, began);

        let reported = serde_json::to_value(&output.reported).unwrap_or_default();
        let _storing = leased.lease.hold(worker.pipeline.begin_storing(turn)).await?;
        let completion = self.store_and_commit(keys, output, &mut timings).await?;

        let clock = Instant::now();
        self.hold(worker.results.conclude(assignment, &completion, Some(&reported))).await?;
        self.passed(Stage::Notify, clock);
        self.count(&completion);
        worker.claims.task_succeeded();
        tracing::info!(
            outputs = completion.notification.outputs.len(),
            queue_ms = timings.queue_ms,
            prepare_ms = timings.prepare_ms,
            run_ms = timings.run_ms,
            store_ms = timings.store_ms,
            "task succeeded"
        );
        Ok(())
    }
}
