//! `GET /jobs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use serde::Serialize;
use shared_schema::RuntimeName;
use task_records::Record;

use super::error::ComfyError;
use super::job::JobStatus;
use super::query::JobQuery;
use super::runtime::RuntimePath;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::v1::query::cursor;
use crate::{App, Caller};

/// One page of the caller's jobs, newest first.
#[derive(Debug, Serialize)]
pub(super) struct JobList {
    jobs: Vec<JobItem>,
    /// The `cursor` of the next page; null on the last one. A page with a filter can be empty and not be the last.
    next_cursor: Option<String>,
}

/// A job in a list.
#[derive(Debug, Serialize)]
struct JobItem {
    id: String,
    status: JobStatus,
    create_time: String,
    /// When it reached its state, as far as that is recorded.
    update_time: String,
    deployment_id: RuntimeName,
    metadata: BTreeMap<String, String>,
}

pub(super) async fn jobs<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(path): Path<RuntimePath>,
    Caller(owner): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<JobList>, ComfyError> {
    let store = app.store()?;
    let query = JobQuery::parse(query.as_deref().unwrap_or_default(), path.runtime(&app)?)?;
    let page = store.records.list(&owner, &query.filter, query.from, query.limit).await;
    let page = page.map_err(ApiError::from)?;
    let jobs = page.records.into_iter().map(JobItem::new).collect();
    Ok(Json(JobList { jobs, next_cursor: page.next.map(cursor) }))
}

impl JobItem {
    fn new(record: Record) -> Self {
        let updated = record.finished.as_ref().or(record.started.as_ref()).unwrap_or(&record.created);
        Self {
            status: JobStatus::of(&record),
            update_time: updated.clone(),
            id: record.id,
            create_time: record.created,
            deployment_id: record.runtime,
            metadata: record.labels,
        }
    }
}
