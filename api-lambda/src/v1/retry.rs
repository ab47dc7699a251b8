//! `POST /v1/tasks/{id}/retry`: a failed or expired task is submitted again.

use std::sync::Arc;

use axum::extract::{OriginalUri, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Value, json};
use shared_schema::envelope::v1;
use shared_schema::{Submission, keys};
use task_records::{Record, Status};

use super::idempotency::IdempotencyKey;
use super::links::Links;
use super::show::{TaskPath, owned};
use super::submit::{Api, Order, Submitted, accepted, submit};
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::steps::record;
use crate::store::TaskStore;
use crate::{App, Caller, trace};

/// The most bytes of a stored task: its content, at most 6 MB (Lambda quotas), with its causes of failure.
const MAX_STORED_BYTES: usize = 16 * 1024 * 1024;

pub(super) async fn task<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    OriginalUri(uri): OriginalUri,
    Path(TaskPath { id }): Path<TaskPath>,
    Caller(owner): Caller,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let store = app.store()?;
    let original = owned(store, &id, &owner).await?;
    let key = IdempotencyKey::of(&headers, "/v1/tasks/retry", &json!(id))?;
    if !matches!(original.status, Status::Failed | Status::Expired) {
        return Err(ApiError::NotRetryable("only a failed or expired task can be submitted again"));
    }
    let mut task = stored_task(store, &id).await?;
    // Its time is over; another run may have one of its own.
    if let Some(metadata) = task.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("start_by");
    }
    let check = || app.contract.v1alpha2(json!({ "task": task })).map_err(ApiError::InvalidTask);
    let task = trace::validating(check)?;
    let request = v1::Request { accepted: task, labels: original.labels.clone() };
    let order = Order { request, api: Api::V1, retry_of: Some(id.clone()) };
    let submitted = submit(&app, owner, key, Submission::mint(), order).await?;
    let Submitted { record: Record { id: new_id, .. }, .. } = &submitted;
    record::log(store.records.retried(&id, new_id).await, "task record not linked to its retry");
    Ok(accepted(submitted, &Links::of(&uri)))
}

/// The task as the worker stored it when it failed.
async fn stored_task(store: &TaskStore, id: &str) -> Result<Value, ApiError> {
    let submission = Submission::parse(id).ok_or(ApiError::TaskNotFound)?;
    let stored: Option<Value> = store.json(&keys::failed(&submission), MAX_STORED_BYTES).await?;
    let task = stored.and_then(|mut stored| stored.get_mut("task").map(Value::take));
    task.filter(Value::is_object)
        .ok_or(ApiError::NotRetryable("the task was not stored when it failed; submit it with a new request"))
}
