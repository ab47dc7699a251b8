//! A job as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use shared_schema::ErrorCode;
use shared_schema::notification::{Failure, Timings};
use task_records::time::{from_epoch_seconds, timestamp};
use task_records::{Progress, Record, Status};

use super::links::{JobLinks, Links};
use super::results::OutputView;

/// The code that the SDKs' users know of a node that failed.
const NODE_FAILED: &str = "node_execution_error";

/// A task as a job. The Python SDK needs every field, and times with a zone.
#[derive(Debug, Serialize)]
pub(super) struct JobView {
    id: String,
    status: JobStatus,
    created_at: String,
    /// When the last attempt started.
    started_at: Option<String>,
    completed_at: Option<String>,
    /// When the record is deleted.
    expires_at: String,
    /// Always null: a queue of SQS does not know it.
    queue_position: Option<u64>,
    progress: Option<ProgressView>,
    outputs: Vec<OutputView>,
    error: Option<ErrorView>,
    metrics: Metrics,
    metadata: BTreeMap<String, String>,
    pub(super) urls: JobLinks,
}

/// The state of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum JobStatus {
    Queued,
    Running,
    /// It runs, and its owner has requested to cancel it.
    Canceling,
    Succeeded,
    Failed,
    Expired,
    Canceled,
}

#[derive(Debug, Serialize)]
struct ProgressView {
    value: f64,
    /// As many as the share of the work that is done.
    nodes_done: u32,
    nodes_total: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
}

#[derive(Debug, Serialize)]
struct ErrorView {
    code: String,
    message: String,
    node_id: Option<String>,
    class_type: Option<String>,
    /// Always null: the traceback of a runtime contains its paths.
    traceback: Option<String>,
}

/// Whole milliseconds.
#[derive(Debug, Default, Serialize)]
struct Metrics {
    queue_ms: Option<u64>,
    execution_ms: Option<u64>,
}

impl JobStatus {
    /// The state of a task.
    pub(super) fn of(record: &Record) -> Self {
        match record.status {
            Status::Queued => Self::Queued,
            Status::Running if record.cancel_requested.is_some() => Self::Canceling,
            Status::Running => Self::Running,
            Status::Succeeded => Self::Succeeded,
            Status::Failed => Self::Failed,
            Status::Expired => Self::Expired,
            Status::Canceled => Self::Canceled,
        }
    }
}

impl JobView {
    /// A record as a job with these outputs.
    pub(super) fn new(record: Record, links: &Links, outputs: Vec<OutputView>) -> Self {
        let status = JobStatus::of(&record);
        let is_running = record.status == Status::Running;
        let total = record.nodes.unwrap_or_default();
        let failure = record.error.as_deref().and_then(|json| serde_json::from_str(json).ok());
        let timings: Option<Timings> =
            record.timings.as_deref().and_then(|json| serde_json::from_str(json).ok());
        Self {
            status,
            created_at: record.created,
            started_at: record.started.filter(|_| record.status != Status::Queued),
            completed_at: record.finished,
            expires_at: timestamp(from_epoch_seconds(record.expires)),
            queue_position: None,
            progress: record
                .progress
                .filter(|_| is_running)
                .map(|progress| ProgressView::new(progress, total)),
            outputs,
            // Canceling is no failure.
            error: failure.filter(|_| status != JobStatus::Canceled).map(ErrorView::new),
            metrics: timings.map(Metrics::new).unwrap_or_default(),
            metadata: record.labels,
            urls: links.job(&record.id),
            id: record.id,
        }
    }
}

impl ProgressView {
    fn new(Progress { fraction, step, steps, node }: Progress, nodes_total: u32) -> Self {
        let value = fraction.clamp(0.0, 1.0);
        let nodes_done = (value * f64::from(nodes_total)).floor() as u32;
        Self { value, nodes_done, nodes_total, current_node: node, step, steps }
    }
}

impl ErrorView {
    fn new(Failure { code, message, node_id, class_type, .. }: Failure) -> Self {
        let code = match code {
            ErrorCode::RuntimeFailed if node_id.is_some() => NODE_FAILED,
            other => other.as_str(),
        };
        Self { code: code.to_owned(), message, node_id, class_type, traceback: None }
    }
}

impl Metrics {
    fn new(timings: Timings) -> Self {
        Self { queue_ms: Some(timings.queue_ms), execution_ms: Some(timings.run_ms) }
    }
}
