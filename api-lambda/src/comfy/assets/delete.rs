//! `DELETE /assets/{id}`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{Path, State};
use axum::http::StatusCode;

use super::AssetPath;
use crate::comfy::error::{ComfyCode, ComfyError};
use crate::comfy::results;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::{App, Caller};

/// The asset is gone; its bytes stay for assets of other names, until a lifecycle rule of the bucket deletes them.
pub(super) async fn asset<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(AssetPath { id }): Path<AssetPath>,
    Caller(owner): Caller,
) -> Result<StatusCode, ComfyError> {
    let store = app.store()?;
    if results::job_of(&id).is_some() {
        let found = super::find(store, &owner, &id).await?;
        found.ok_or_else(ComfyError::no_asset)?;
        let message = "results of jobs are deleted with the files of their task";
        return Err(ComfyError::new(ComfyCode::AssetInUse, message));
    }
    let deleted = store.records.delete_asset(&id, &owner, SystemTime::now()).await;
    if deleted.map_err(ApiError::from)? { Ok(StatusCode::NO_CONTENT) } else { Err(ComfyError::no_asset()) }
}
