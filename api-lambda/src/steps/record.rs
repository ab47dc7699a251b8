//! The record of a task: created before its message is published, so that the worker finds it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use shared_schema::envelope::Accepted;
use shared_schema::{Task, TaskType};
use task_records::time::{epoch_seconds, timestamp};
use task_records::{Owner, Record, RecordError, Status};
use task_traces::TraceContext;

use super::ApiVersion;
use super::publish::{Identity, Publisher};
use crate::App;

/// Creates the record of a predecessors' request. These work without records, too: a failure is only logged, and the task is then
/// not visible in `v1`.
pub(super) async fn create<P: Publisher>(
    app: &App<P>,
    version: ApiVersion,
    accepted: &Accepted,
    identity: &Identity,
) {
    let (Some(store), Some(owner)) = (&app.store, &identity.owner) else { return };
    let api = match version {
        ApiVersion::V1Alpha1 => "v1alpha1",
        ApiVersion::V1Alpha2 => "v1alpha2",
    };
    let record = new(app, api, &accepted.task, identity.submission.as_str(), owner);
    log(store.records.create(&record).await, "task record not created");
}

/// Notes that the message is published, or deletes the record of a task that is refused.
pub(super) async fn complete<P: Publisher>(app: &App<P>, identity: &Identity, is_published: bool) {
    let Some(store) = &app.store else { return };
    let id = identity.submission.as_str();
    if is_published {
        log(store.records.published(id).await, "task record not marked as published");
    } else {
        log(store.records.discard(id).await, "task record of a refused task not deleted");
    }
}

/// The record of a new task.
pub(crate) fn new<P>(app: &App<P>, api: &str, task: &Task, id: &str, owner: &Owner) -> Record {
    let now = SystemTime::now();
    let lifetime = Duration::from_secs(u64::from(app.config.record_days) * 24 * 60 * 60);
    let metadata = &task.metadata;
    Record {
        id: id.to_owned(),
        owner: owner.clone(),
        created: timestamp(now),
        expires: epoch_seconds(now + lifetime),
        api: api.to_owned(),
        name: metadata.id.to_json().to_string(),
        runtime: metadata.runtime.clone(),
        task_type: metadata.tasktype,
        prefix: metadata.prefix.as_str().to_owned(),
        nodes: (metadata.tasktype == TaskType::Pipeline)
            .then(|| u32::try_from(task.content.len()).unwrap_or(u32::MAX)),
        labels: BTreeMap::new(),
        start_by: metadata.start_by.as_ref().map(|start_by| start_by.as_str().to_owned()),
        status: Status::Queued,
        published: false,
        unfinished: (app.config.max_unfinished_tasks > 0).then(|| owner.clone()),
        started: None,
        finished: None,
        attempt: None,
        failed_attempts: Vec::new(),
        progress: None,
        cancel_requested: None,
        retry_of: None,
        retried_as: None,
        trace_id: TraceContext::current().map(|trace| trace.trace_id()),
        out: None,
        outputs: None,
        error: None,
        warnings: None,
        timings: None,
        reported: None,
    }
}

/// Logs a failed call whose result the request does not depend on.
pub(crate) fn log(result: Result<(), RecordError>, message: &'static str) {
    if let Err(error) = result {
        tracing::warn!(error.code = error.code, action = error.action, "{message}");
    }
}
