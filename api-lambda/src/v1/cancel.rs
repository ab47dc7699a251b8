//! `POST /v1/tasks/{id}/cancel`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{OriginalUri, Path, State};

use super::links::Links;
use super::show::{TaskPath, owned, view};
use super::task::TaskView;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::{App, Caller};

/// A queued task never runs, a running one is interrupted within seconds, a finished one stays as it is: the response shows
/// which.
pub(super) async fn task<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    OriginalUri(uri): OriginalUri,
    Path(TaskPath { id }): Path<TaskPath>,
    Caller(owner): Caller,
) -> Result<Json<TaskView>, ApiError> {
    let store = app.store()?;
    let record = owned(store, &id, &owner).await?;
    let record = store.records.cancel(record, SystemTime::now()).await?.ok_or(ApiError::TaskNotFound)?;
    view(&app, store, record, &Links::of(&uri)).await.map(Json)
}
