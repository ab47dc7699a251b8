//! Assets: uploaded files, and results of jobs, by their ids.

// In the order of an asset's life.
mod form;
mod hash;
mod upload;

mod from_hash;

mod content;
mod delete;
mod show;
mod view;

pub(crate) mod references;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::{get, head, post};
use serde::Deserialize;
use task_records::asset::{Asset, Blob};
use task_records::time::{epoch_seconds, timestamp};
use task_records::{Owner, Record};

use super::error::ComfyError;
use super::results::{self, JobResult};
use crate::App;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::store::TaskStore;
pub(crate) use hash::Blake3;

/// An object that is used for less time is uploaded again instead.
const MARGIN: Duration = Duration::from_hours(1);

/// The paths of assets.
pub(super) fn router<P: Publisher>() -> Router<Arc<App<P>>> {
    Router::new()
        .route("/assets", post(upload::asset::<P>))
        .route("/assets/from-hash", post(from_hash::asset::<P>))
        .route("/assets/by-hash/{hash}", head(from_hash::exists::<P>))
        .route("/assets/{id}", get(show::asset::<P>).delete(delete::asset::<P>))
        .route("/assets/{id}/content", get(content::of_asset::<P>))
}

/// The id in a path.
#[derive(Debug, Deserialize)]
struct AssetPath {
    id: String,
}

/// What an id names.
#[derive(Debug)]
enum Found {
    /// An uploaded file.
    Uploaded(Asset),
    /// A result of a task, with the record of that.
    Result(Box<Record>, JobResult),
}

/// The caller's asset of that id. Those of other owners look as if there were none.
async fn find(store: &TaskStore, owner: &Owner, id: &str) -> Result<Option<Found>, ApiError> {
    let Some(task) = results::job_of(id) else {
        let asset = store.records.asset(id, SystemTime::now()).await?;
        return Ok(asset.filter(|asset| asset.owner == *owner).map(Found::Uploaded));
    };
    let record = store.records.get(task).await?.filter(|record| record.owner == *owner);
    let Some(record) = record else { return Ok(None) };
    let result = results::of(store, &record).await?.into_iter().find(|result| result.id == id);
    Ok(result.map(|result| Found::Result(Box::new(record), result)))
}

/// What a caller says of an asset.
#[derive(Debug, Default)]
struct Wishes {
    file_path: String,
    /// How long it exists, unless its object is used for less.
    lifetime: Option<Duration>,
}

/// Makes an asset of an object, or returns the one that exists. Whether it is new.
async fn mint(
    store: &TaskStore,
    owner: Owner,
    hash: &Blake3,
    blob: Blob,
    Wishes { file_path, lifetime }: Wishes,
) -> Result<(Asset, bool), ComfyError> {
    let now = SystemTime::now();
    let expires = lifetime.map_or(blob.expires, |lifetime| blob.expires.min(epoch_seconds(now + lifetime)));
    let asset = Asset {
        id: hash.asset_id(&owner, &file_path).to_string(),
        owner,
        hash: hash.hex(),
        key: blob.key,
        bytes: blob.bytes,
        content_type: blob.content_type,
        file_path,
        created: timestamp(now),
        expires,
    };
    let (asset, is_new) = store.records.put_asset(asset, now).await.map_err(ApiError::from)?;
    store.records.name_asset(&asset).await.map_err(ApiError::from)?;
    Ok((asset, is_new))
}
