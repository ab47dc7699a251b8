//! A task as the API shows it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use shared_schema::notification::{Output, Timings, Warning};
use shared_schema::{RuntimeName, TaskType};
use task_records::time::{from_epoch_seconds, timestamp};
use task_records::{FailedAttempt, Progress, Record, Status};

use super::links::{Links, TaskLinks};

/// A task with its status and, once it has finished, its results.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct TaskView {
    /// The id of the task: a UUID.
    pub(crate) id: String,
    /// The caller's name for it.
    name: Value,
    runtime: RuntimeName,
    #[serde(rename = "type")]
    task_type: TaskType,
    pub(crate) status: Status,
    /// Whether its owner has requested to cancel it. A task that is being canceled is `running` until its run is interrupted.
    cancel_requested: bool,
    labels: BTreeMap<String, String>,
    prefix: String,
    created_at: String,
    started_at: Option<String>,
    finished_at: Option<String>,
    start_by: Option<String>,
    /// When the record is deleted.
    expires_at: String,
    /// The number of attempts so far.
    attempts: u32,
    /// The attempts that failed and were followed by another one.
    failed_attempts: Vec<FailedAttempt>,
    progress: Option<Progress>,
    /// The stored files; their URLs are signed for each response.
    pub(crate) outputs: Vec<Output>,
    /// The address of the `.out` file.
    pub(crate) output_url: Option<String>,
    error: Option<Value>,
    warnings: Vec<Warning>,
    timings: Option<Timings>,
    /// The duration of the successful run, in seconds.
    gpu_seconds: Option<f64>,
    cost: Option<Cost>,
    /// The seed that the runtime reported.
    seed: Option<Value>,
    /// The parameters that the runtime reported.
    parameters: Option<Value>,
    /// The task that this one retries, and the one that retries it.
    retry_of: Option<String>,
    retried_as: Option<String>,
    /// The trace of the task.
    trace_id: Option<String>,
    links: TaskLinks,
}

/// What the GPU cost while the task ran.
#[derive(Debug, Clone, Serialize)]
struct Cost {
    amount: f64,
    currency: &'static str,
}

impl TaskView {
    /// A record as the API shows it, without URLs of its files. `hourly_price` is what an hour of the runtime costs, in US dollars.
    pub(crate) fn new(record: Record, links: &Links, hourly_price: Option<f64>) -> Self {
        let timings: Option<Timings> = parsed(record.timings.as_deref());
        let gpu_seconds = timings.map(|timings| timings.run_ms as f64 / 1e3);
        let amount = gpu_seconds.zip(hourly_price).map(|(seconds, price)| seconds / 3_600.0 * price);
        let mut reported: Value = parsed(record.reported.as_deref()).unwrap_or_default();
        let mut reported =
            |name: &str| reported.get_mut(name).map(Value::take).filter(|value| !value.is_null());
        Self {
            links: links.all(&record.id),
            id: record.id,
            name: serde_json::from_str(&record.name).unwrap_or_default(),
            runtime: record.runtime,
            task_type: record.task_type,
            status: record.status,
            cancel_requested: record.cancel_requested.is_some(),
            labels: record.labels,
            prefix: record.prefix,
            created_at: record.created,
            started_at: record.started,
            finished_at: record.finished,
            start_by: record.start_by,
            expires_at: timestamp(from_epoch_seconds(record.expires)),
            attempts: record.attempt.unwrap_or_default(),
            failed_attempts: record.failed_attempts,
            progress: record.progress.filter(|_| record.status == Status::Running),
            outputs: parsed(record.outputs.as_deref()).unwrap_or_default(),
            output_url: record.out,
            error: parsed(record.error.as_deref()),
            warnings: parsed(record.warnings.as_deref()).unwrap_or_default(),
            timings,
            gpu_seconds,
            cost: amount.map(|amount| Cost { amount, currency: "USD" }),
            seed: reported("seed"),
            parameters: reported("parameters"),
            retry_of: record.retry_of,
            retried_as: record.retried_as,
            trace_id: record.trace_id,
        }
    }
}

/// A field that is JSON as text.
fn parsed<T: serde::de::DeserializeOwned>(json: Option<&str>) -> Option<T> {
    serde_json::from_str(json?).ok()
}
