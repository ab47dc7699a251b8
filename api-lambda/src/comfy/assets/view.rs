//! An asset as the API shows it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use task_records::asset::Asset;
use task_records::time::{from_epoch_seconds, timestamp};

use super::Found;
use super::content;
use crate::comfy::error::ComfyError;
use crate::comfy::links::Links;
use crate::comfy::results::OutputView;
use crate::store::TaskStore;

/// An asset with a new address of its bytes.
#[derive(Debug, Serialize)]
pub(super) struct AssetView {
    id: String,
    /// `blake3:...`; null for results of jobs.
    hash: Option<String>,
    size_bytes: u64,
    content_type: String,
    file_path: String,
    created_at: String,
    expires_at: String,
    url: String,
    url_expires_at: String,
    /// Whether this request has created it.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_new: Option<bool>,
    /// The job that yielded it.
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
}

impl AssetView {
    /// What an id names.
    pub(super) async fn new(store: &TaskStore, links: &Links, found: Found) -> Self {
        match found {
            Found::Uploaded(asset) => Self::uploaded(store, links, asset).await,
            Found::Result(record, result) => {
                let OutputView { name, content_type, size_bytes, id, url, url_expires_at, job_id, .. } =
                    result.view(store, &record, links).await;
                Self {
                    hash: None,
                    file_path: name,
                    created_at: record.finished.unwrap_or(record.created),
                    expires_at: timestamp(from_epoch_seconds(record.expires)),
                    created_new: None,
                    job_id: Some(job_id),
                    size_bytes,
                    content_type,
                    id,
                    url,
                    url_expires_at,
                }
            }
        }
    }

    async fn uploaded(store: &TaskStore, links: &Links, asset: Asset) -> Self {
        let expires_at = timestamp(from_epoch_seconds(asset.expires));
        let (url, url_expires_at) = match content::signed(store, &asset).await {
            Some(signed) => (signed.url, timestamp(signed.expires_at)),
            None => (links.content(&asset.id), expires_at.clone()),
        };
        Self {
            hash: Some(format!("blake3:{}", asset.hash)),
            size_bytes: asset.bytes,
            content_type: asset.content_type,
            file_path: asset.file_path,
            created_at: asset.created,
            expires_at,
            url,
            url_expires_at,
            created_new: None,
            job_id: None,
            id: asset.id,
        }
    }
}

/// The response to a request that asked for an asset of bytes.
pub(super) async fn created(
    store: &TaskStore,
    links: &Links,
    asset: Asset,
    is_new: bool,
) -> Result<Response, ComfyError> {
    let view = AssetView { created_new: Some(is_new), ..AssetView::uploaded(store, links, asset).await };
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(view)).into_response())
}
