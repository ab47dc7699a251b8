//! The dead-letter Lambda, which completes tasks that no worker could: a message that was received too often, because each
//! worker was killed, or one that SNS could not deliver. Both are in a dead-letter queue, which invokes this function.
//!
//! Each task gets what a worker would have produced: `.out`, the copy for a resubmission, the notification. `.out` is
//! written once, so this is idempotent, and safe to run concurrently; a task that is committed already
//! is only notified again.

mod config;
mod event;
mod failure;

use std::time::Duration;

use aws_config::SdkConfig;
use futures_util::stream::{self, StreamExt};
use shared_schema::{ErrorCode, RuntimeName};
use task_metrics::{Document, Emitter, Metric, OTHER_RUNTIME, Unit};
use task_records::Records;
use task_traces::{TraceContext, Traces};
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use crate::cloud::{self, Delivery, Store, Topic};
use crate::error::TaskError;
use crate::spans;
use crate::steps::committed::{CommitState, Lookup};
use crate::steps::journal::Journal;
use crate::steps::log_message::loggable_by_text;
use crate::steps::read::{self, Assignment, Parsed};
use crate::steps::reject::Rejection;
use crate::steps::results::Results;

use failure::{TargetRuntime, failure_of};

pub use config::{Config, RuntimeTypes};
pub use event::{Attributes, BatchItemFailure, BatchResponse, Record, SqsEvent};

/// How many messages are processed at once: a batch, unless the event source gathers larger ones.
const AT_ONCE: usize = 10;

/// The metric of the function in CloudWatch. `docs/observability.md` lists it.
pub const TASKS_DEAD_LETTERED: Metric = Metric {
    name: "TasksDeadLettered",
    unit: Unit::Count,
    dimensions: &["runtime"],
    help: "tasks that failed in a dead-letter queue",
};

/// Completes dead-lettered tasks.
pub struct DeadLetters {
    store: Store,
    topic: Topic,
    records: Option<Records>,
    runtime_types: RuntimeTypes,
    traces: Traces,
    metrics: Emitter,
}

impl DeadLetters {
    /// Bucket and topic of `config`, called through `sdk`, which must have an HTTP client.
    pub fn new(sdk: &SdkConfig, config: &Config) -> Self {
        let sdk = cloud::bounded(sdk);
        Self {
            store: Store::new(&sdk, &config.bucket, config.url_expiry()),
            topic: Topic::new(&sdk, &config.completion_topic_arn),
            records: cloud::records(&sdk, config.record_table.as_deref()),
            runtime_types: config.runtime_types.clone(),
            traces: Traces::off(),
            metrics: Emitter::new(config.metrics_namespace.as_deref(), std::io::stdout()),
        }
    }

    /// The same, which records spans.
    pub fn with_traces(self, traces: Traces) -> Self {
        Self { traces, ..self }
    }

    /// Processes an event within `time_left`, and returns which messages are to be redelivered.
    pub async fn handle(&self, event: &SqsEvent, time_left: Duration) -> BatchResponse {
        let deadline = Instant::now() + time_left;
        let ending: Vec<_> =
            event.records.iter().map(|record| self.is_handled_by(deadline, record)).collect();
        let finished: Vec<bool> = stream::iter(ending).buffered(AT_ONCE).collect().await;
        let unfinished = event.records.iter().zip(finished).filter(|(_, finished)| !finished);
        BatchResponse {
            batch_item_failures: unfinished
                .map(|(record, _)| BatchItemFailure { item_identifier: record.message_id.clone() })
                .collect(),
        }
    }

    /// Whether a message could be processed by then.
    async fn is_handled_by(&self, deadline: Instant, record: &Record) -> bool {
        let result = timeout_at(deadline, self.handle_record(record)).await.unwrap_or_else(|_| {
            Err(TaskError::new(ErrorCode::StorageUnavailable, "the function has no time left"))
        });
        if let Err(error) = &result {
            let (message_id, queue) = (&record.message_id, &record.event_source_arn);
            tracing::error!(message_id, queue, error.code = %error.code, error.message = %error.message, "dead letter not processed, it will be redelivered");
        }
        result.is_ok()
    }

    async fn handle_record(&self, record: &Record) -> Result<(), TaskError> {
        let mut delivery = record.delivery();
        let traced = spans::dead_letter(&self.traces, &record.event_source_arn, &delivery);
        let trace = spans::of(&delivery).or_else(|| traced.context());
        delivery.trace_header = trace.as_ref().map(TraceContext::xray);
        let target = TargetRuntime::of(&record.body, &self.runtime_types);
        let results = Results {
            store: self.store.clone(),
            topic: self.topic.clone(),
            records: self.records.clone(),
            runtime: target.name.clone(),
        };
        match read::parse(&delivery) {
            Parsed::Unreadable(cause) => {
                let kept_at = results.keep_unreadable(&delivery, cause).await?;
                let message_id = &delivery.message_id;
                tracing::error!(error.code = %ErrorCode::UnreadableMessage, message_id, kept_at, %cause, "message cannot be read, kept for an operator");
                Ok(())
            }
            Parsed::Assigned(assignment) => {
                let span = tracing::info_span!(
                    "task",
                    task.id = %assignment.id,
                    runtime = %target.name,
                    submission = %assignment.submission,
                    queue = record.event_source_arn,
                    trace_id = trace.map(|trace| trace.trace_id()),
                );
                spans::assigned(&traced, &assignment, target.name.as_str());
                let receipts = record.received_by_workers();
                let completing = self.complete_task(&results, &delivery, &assignment, &target, receipts);
                let completed = traced.within(completing).instrument(span).await;
                traced.set("darkroom.outcome", if completed.is_ok() { "dead_lettered" } else { "released" });
                completed
            }
        }
    }

    /// Notifies again if the task is committed, or else commits and notifies its failure.
    async fn complete_task(
        &self,
        results: &Results,
        delivery: &Delivery,
        assignment: &Assignment,
        target: &TargetRuntime,
        receipts: Option<u32>,
    ) -> Result<(), TaskError> {
        // Perhaps an earlier version received it, or this function did.
        let keys = match results.find_committed(assignment, Lookup::Strict, true).await? {
            CommitState::Open(keys) => keys,
            CommitState::Committed(stored) => {
                tracing::info!("already committed, notifying again");
                return results.conclude(assignment, &stored, None).await;
            }
        };
        let journal = Journal::read(&self.store, &delivery.message_id).await;
        let (error, attempts) = failure_of(receipts, &journal);
        let report = target.runtime_type.failure_report;
        let rejection = Rejection { task: None, error: &error, attempts, causes: &journal.attempts, report };
        results.reject(delivery, assignment, keys, &rejection).await?;
        tracing::warn!(error.code = %error.code, error.message = %loggable_by_text(&error.message, &delivery.body), attempts, "task failed");
        self.count(&target.name);
        Ok(())
    }

    /// A task failed here. One that was committed before and is only notified again does not count.
    fn count(&self, runtime: &RuntimeName) {
        self.metrics.emit(|| {
            let name = runtime.as_str();
            let name = self.runtime_types.of(name).map_or(OTHER_RUNTIME, |_| name);
            Document::new(vec![("runtime", name.to_owned())]).with(TASKS_DEAD_LETTERED, vec![1.0])
        });
    }
}
