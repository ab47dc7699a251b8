//! `HEAD /assets/by-hash/{hash}` and `POST /assets/from-hash`: bytes that the caller has stored before.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;
use task_records::Owner;
use task_records::asset::Blob;
use tokio::time::timeout;

use super::form::{expires_in, file_path, invalid};
use super::upload::register;
use super::view::created;
use super::{Blake3, MARGIN, Wishes, mint};
use crate::comfy::error::{ComfyCode, ComfyError};
use crate::comfy::links::Links;
use crate::error::ApiError;
use crate::steps::publish::{PublishError, Publisher};
use crate::steps::request;
use crate::store::TaskStore;
use crate::{App, Caller};

/// How long reading an object may take, below the 29 seconds of API Gateway.
const READ_TIMEOUT: Duration = Duration::from_secs(25);

/// The hash in a path.
#[derive(Debug, Deserialize)]
pub(super) struct HashPath {
    hash: String,
}

/// 200 promises that `from-hash` succeeds: the SDKs do not upload the file then.
pub(super) async fn exists<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(HashPath { hash }): Path<HashPath>,
    Caller(owner): Caller,
) -> StatusCode {
    let (Ok(store), Some(hash)) = (app.store(), Blake3::parse(&hash)) else { return StatusCode::NOT_FOUND };
    match store.records.blob(&owner, &hash.hex(), SystemTime::now() + MARGIN).await {
        Ok(Some(_)) => StatusCode::OK,
        Ok(None) => StatusCode::NOT_FOUND,
        Err(error) => ComfyError::from(ApiError::from(error)).status(),
    }
}

/// Makes an asset of bytes that are stored. A file that was uploaded with `POST /v1/uploads` is read first: its hash is the
/// caller's claim until then.
pub(super) async fn asset<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    links: Links,
    Caller(owner): Caller,
    body: Body,
) -> Result<Response, ComfyError> {
    let store = app.store()?;
    let body = request::read(body, app.config.max_body_bytes).await?;
    let hash = body["hash"].as_str().and_then(Blake3::parse);
    let hash = hash.ok_or_else(|| invalid("`hash` must be `blake3:` and 64 digits"))?;
    let wishes = wishes(&body, &hash)?;
    // An asset that is deleted soon is made from a new object, if there is one.
    let known = store.records.blob(&owner, &hash.hex(), SystemTime::now() + MARGIN / 2).await;
    let blob = match known.map_err(ApiError::from)? {
        Some(blob) => blob,
        None => {
            let blob = uploaded(store, &owner, &hash).await?;
            register(store, &owner, &hash, blob).await?
        }
    };
    let (asset, is_new) = mint(store, owner, &hash, blob, wishes).await?;
    created(store, &links, asset, is_new).await
}

fn wishes(body: &Value, hash: &Blake3) -> Result<Wishes, ComfyError> {
    let name = match body["file_path"].as_str() {
        Some(text) => file_path(text)?,
        None => hash.hex(),
    };
    let lifetime = &body["expires_in"];
    let lifetime = if lifetime.is_null() { None } else { Some(expires_in(lifetime.as_u64())?) };
    Ok(Wishes { file_path: name, lifetime })
}

/// The object that the caller has announced and uploaded, if it has those bytes.
async fn uploaded(store: &TaskStore, owner: &Owner, hash: &Blake3) -> Result<Blob, ComfyError> {
    let unknown = || ComfyError::new(ComfyCode::BlobNotFound, "you have stored no bytes with this hash");
    let announced = store.records.upload(owner, &hash.hex()).await.map_err(ApiError::from)?;
    let announced = announced.ok_or_else(unknown)?;
    let reading = timeout(READ_TIMEOUT, store.results.digest(&announced.key, announced.bytes)).await;
    let read = reading.unwrap_or_else(|_| Err(PublishError::new("the object was not read in time")));
    let read = read.map_err(|error| {
        tracing::error!(%error, error.code = error.code.as_deref(), "an uploaded file could not be read");
        ApiError::RecordsUnavailable
    })?;
    let read = read.ok_or_else(unknown)?;
    if Blake3::new(read) == *hash {
        Ok(announced)
    } else {
        Err(ComfyError::new(ComfyCode::HashMismatch, "the uploaded bytes have another hash"))
    }
}
