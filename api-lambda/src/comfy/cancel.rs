//! `POST /jobs/{id}/cancel`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::{Path, State};

use super::error::ComfyError;
use super::job::JobView;
use super::links::Links;
use super::show::{JobPath, view};
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::{App, Caller};

/// A finished job stays as it is, and is no error: the SDKs take no other status than 200.
pub(super) async fn job<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(path): Path<JobPath>,
    links: Links,
    Caller(owner): Caller,
) -> Result<Json<JobView>, ComfyError> {
    let store = app.store()?;
    let record = path.record(&app, store, &owner).await?;
    let record = store.records.cancel(record, SystemTime::now()).await.map_err(ApiError::from)?;
    view(store, record.ok_or_else(ComfyError::no_job)?, &links).await.map(Json)
}
