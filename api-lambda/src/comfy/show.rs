//! `GET /jobs/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Deserialize;
use shared_schema::RuntimeName;
use task_records::{Owner, Record};

use super::error::ComfyError;
use super::job::JobView;
use super::links::Links;
use super::results;
use super::runtime::RuntimePath;
use crate::steps::publish::Publisher;
use crate::store::TaskStore;
use crate::v1::show::{TaskPath, owned};
use crate::{App, Caller};

/// The id of a job, and the runtime whose jobs the path has.
#[derive(Debug, Deserialize)]
pub(super) struct JobPath {
    #[serde(flatten)]
    pub(super) task: TaskPath,
    #[serde(flatten)]
    pub(super) runtime: RuntimePath,
}

pub(super) async fn job<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(path): Path<JobPath>,
    links: Links,
    Caller(owner): Caller,
) -> Result<Json<JobView>, ComfyError> {
    let store = app.store()?;
    let record = path.record(&app, store, &owner).await?;
    view(store, record, &links).await.map(Json)
}

impl JobPath {
    /// The caller's record. A task of another runtime is none of this base address's.
    pub(super) async fn record<P>(
        self,
        app: &App<P>,
        store: &TaskStore,
        owner: &Owner,
    ) -> Result<Record, ComfyError> {
        let runtime: RuntimeName = self.runtime.runtime(app)?;
        let record = owned(store, &self.task.id, owner).await?;
        if record.runtime == runtime { Ok(record) } else { Err(ComfyError::no_job()) }
    }
}

/// A record as a job, with its outputs once it has succeeded.
pub(super) async fn view(store: &TaskStore, record: Record, links: &Links) -> Result<JobView, ComfyError> {
    let mut outputs = Vec::new();
    for result in results::of(store, &record).await? {
        outputs.push(result.view(store, &record, links).await);
    }
    Ok(JobView::new(record, links, outputs))
}
