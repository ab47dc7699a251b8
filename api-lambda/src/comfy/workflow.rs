//! `GET /jobs/{id}/workflow`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use shared_schema::{ClaimCheck, Submission, keys};

use super::error::{ComfyCode, ComfyError};
use super::show::JobPath;
use crate::steps::publish::Publisher;
use crate::{App, Caller};

/// The workflow as it was submitted: the front door has stored its task in the bucket.
pub(super) async fn of_job<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(path): Path<JobPath>,
    Caller(owner): Caller,
) -> Result<Json<Value>, ComfyError> {
    let store = app.store()?;
    let record = path.record(&app, store, &owner).await?;
    let submission = Submission::parse(&record.id).ok_or_else(ComfyError::no_job)?;
    let task: Option<Value> = store.json(&keys::payload(&submission), ClaimCheck::MAX_BYTES as usize).await?;
    let workflow = task.and_then(|mut task| task.get_mut("content").map(Value::take)).ok_or_else(|| {
        let message = "the workflow of this job is not stored: it came through another API, or has expired";
        ComfyError::new(ComfyCode::NotFound, message)
    })?;
    Ok(Json(json!({ "workflow": workflow, "format": "api" })))
}
