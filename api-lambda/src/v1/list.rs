//! `GET /v1/tasks`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{OriginalUri, RawQuery, State};
use serde::Serialize;

use super::links::Links;
use super::query::{ListQuery, cursor};
use super::task::TaskView;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::{App, Caller};

/// One page of the caller's tasks, newest first.
#[derive(Debug, Serialize)]
pub(super) struct TaskList {
    /// The tasks. Files have no URLs here: `GET /v1/tasks/{id}` signs them.
    tasks: Vec<TaskView>,
    /// The `cursor` of the next page; null on the last one. A page with a filter can be empty and not be the last.
    next_cursor: Option<String>,
}

pub(super) async fn tasks<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    OriginalUri(uri): OriginalUri,
    Caller(owner): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<TaskList>, ApiError> {
    let store = app.store()?;
    let query = ListQuery::parse(query.as_deref().unwrap_or_default())?;
    let limit = query.limit();
    let page = store.records.list(&owner, &query.filter, query.from, limit).await?;
    let links = Links::of(&uri);
    let tasks = page.records.into_iter().map(|record| {
        let runtime = app.contract.registry().by_name(record.runtime.as_str());
        let hourly_price = runtime.and_then(|runtime| runtime.hourly_price);
        TaskView::new(record, &links, hourly_price)
    });
    Ok(Json(TaskList { tasks: tasks.collect(), next_cursor: page.next.map(cursor) }))
}
