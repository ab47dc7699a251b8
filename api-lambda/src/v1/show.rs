//! `GET /v1/tasks/{id}`.

use std::sync::Arc;

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

/// The id in a path; a stage before it does not matter.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskPath {
    pub(crate) id: String,
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
pub(crate) async fn owned(store: &TaskStore, id: &str, owner: &Owner) -> Result<Record, ApiError> {
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
    sign(store, &mut view).await;
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
    let out: Option<Out> = store.out(out).await?;
    Ok(out.map(|out| out.notification.outputs).unwrap_or_default())
}

/// Gives each file a URL. A URL that cannot be signed is absent, as in notifications.
async fn sign(store: &TaskStore, view: &mut TaskView) {
    for output in &mut view.outputs {
        let Some(key) = store.key_of(&output.s3_uri) else { continue };
        let Some(signed) = store.results.presigned_get(key, store.url_lifetime).await else { continue };
        output.url = Some(signed.url);
        output.url_expires_at = Some(timestamp(signed.expires_at));
    }
}
