//! `POST /assets`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use shared_schema::keys;
use task_records::Owner;
use task_records::asset::Blob;
use task_records::time::epoch_seconds;
use uuid::Uuid;

use super::form::Form;
use super::view::created;
use super::{Blake3, MARGIN, mint};
use crate::comfy::error::{ComfyCode, ComfyError};
use crate::comfy::links::Links;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::store::TaskStore;
use crate::{App, Caller};

/// Stores a file, unless the caller has stored the same bytes before.
pub(super) async fn asset<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    links: Links,
    Caller(owner): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ComfyError> {
    let store = app.store()?;
    let form = Form::read(&headers, body, app.config.max_body_bytes).await?;
    let hash = Blake3::of(&form.file);
    if form.expected_hash.as_ref().is_some_and(|expected| *expected != hash) {
        let message = "the received bytes have another hash than `expected_hash`";
        return Err(ComfyError::new(ComfyCode::HashMismatch, message));
    }
    let known = store.records.blob(&owner, &hash.hex(), SystemTime::now() + MARGIN).await;
    let blob = match known.map_err(ApiError::from)? {
        Some(blob) => blob,
        None => {
            let blob = stored(store, app.config.asset_lifetime(), &form).await?;
            register(store, &owner, &hash, blob).await?
        }
    };
    let (asset, is_new) = mint(store, owner, &hash, blob, form.wishes).await?;
    created(store, &links, asset, is_new).await
}

/// Stores the bytes under an unguessable name.
async fn stored(store: &TaskStore, lifetime: Duration, form: &Form) -> Result<Blob, ComfyError> {
    let key = keys::upload(Uuid::new_v4());
    store.results.put(&key, &form.content_type, form.file.clone()).await.map_err(|error| {
        tracing::error!(%error, error.code = error.code.as_deref(), "an asset could not be stored");
        ApiError::RecordsUnavailable
    })?;
    Ok(Blob {
        key,
        bytes: form.file.len() as u64,
        content_type: form.content_type.clone(),
        expires: epoch_seconds(SystemTime::now() + lifetime),
    })
}

/// Remembers which object has the caller's bytes of that hash.
pub(super) async fn register(
    store: &TaskStore,
    owner: &Owner,
    hash: &Blake3,
    blob: Blob,
) -> Result<Blob, ComfyError> {
    Ok(store.records.put_blob(owner, &hash.hex(), blob).await.map_err(ApiError::from)?)
}
