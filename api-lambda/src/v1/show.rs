//! `GET /v1/tasks/{id}`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use shared_schema::Notification;
use task_records::time::timestamp;
use task_records::{Owner, Record};

use super::links::Links;
use super::task::TaskView;
use super::wait;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::store::TaskStore;
use crate::{App, Caller};

/// The most bytes that are read of an `.out` file: more than the worker writes (`worker/src/steps/report.rs`).
const MAX_OUT_BYTES: usize = 16 * 1024 * 1024;

/// The id in a path; a stage before it does not matter.
#[derive(Debug, Deserialize)]
pub(super) struct TaskPath {
    pub(super) id: String,
}

pub(super) async fn task<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    OriginalUri(uri): OriginalUri,
    Path(TaskPath { id }): Path<TaskPath>,
    Caller(owner): Caller,
    headers: HeaderMap,
) -> Result<Json<TaskView>, ApiError> {
    let store = app.store()?;
    let record = match wait::preferred(&headers)? {
        None => owned(store, &id, &owner).await?,
        Some(time) => wait::until_finished(store, &id, &owner, time).await?,
    };
    view(&app, store, record, &Links::of(&uri)).await.map(Json)
}

/// The caller's record of that id. Tasks of other owners look as if there were none.
pub(super) async fn owned(store: &TaskStore, id: &str, owner: &Owner) -> Result<Record, ApiError> {
    let record = store.records.get(id).await?;
    record.filter(|record| record.owner == *owner).ok_or(ApiError::TaskNotFound)
}

/// A record with URLs of its files.
pub(super) async fn view<P: Publisher>(
    app: &App<P>,
    store: &TaskStore,
    record: Record,
    links: &Links,
) -> Result<TaskView, ApiError> {
    let runtime = app.contract.registry().by_name(record.runtime.as_str());
    let hourly_price = runtime.and_then(|runtime| runtime.hourly_price);
    let has_outputs = record.outputs.is_some();
    let mut view = TaskView::new(record, links, hourly_price);
    if let Some(out) = view.output_url.as_deref().filter(|_| !has_outputs) {
        view.outputs = outputs_of(store, out).await?;
    }
    sign(store, &mut view, Duration::from_secs(app.config.url_expiry_seconds)).await;
    Ok(view)
}

/// The files of a task that are too many for its record, from its `.out` file.
async fn outputs_of(
    store: &TaskStore,
    out: &str,
) -> Result<Vec<shared_schema::notification::Output>, ApiError> {
    #[derive(Deserialize)]
    struct Out {
        notification: Notification,
    }
    let own = format!("s3://{}/", store.results.bucket());
    let Some(key) = out.strip_prefix(&own) else { return Ok(Vec::new()) };
    let bytes = store.results.get(key, MAX_OUT_BYTES).await.map_err(|error| {
        tracing::error!(%error, error.code = error.code.as_deref(), "the result of a task could not be read");
        ApiError::RecordsUnavailable
    })?;
    let out: Option<Out> = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    Ok(out.map(|out| out.notification.outputs).unwrap_or_default())
}

/// Gives each file a URL. A URL that cannot be signed is absent, as in notifications.
async fn sign(store: &TaskStore, view: &mut TaskView, lifetime: Duration) {
    let own = format!("s3://{}/", store.results.bucket());
    for output in &mut view.outputs {
        let Some(key) = output.s3_uri.strip_prefix(&own) else { continue };
        let Some(signed) = store.results.presigned_get(key, lifetime).await else { continue };
        output.url = Some(signed.url);
        output.url_expires_at = Some(timestamp(signed.expires_at));
    }
}
