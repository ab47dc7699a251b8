//! `GET /assets/{id}/content`: the bytes.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use task_records::asset::Asset;

use super::{AssetPath, Found, find};
use crate::comfy::error::{ComfyCode, ComfyError};
use crate::comfy::results::TEXT;
use crate::error::ApiError;
use crate::s3::Presigned;
use crate::steps::publish::Publisher;
use crate::store::TaskStore;
use crate::{App, Caller};

/// A redirect to the bucket, whose address has another origin: the SDKs do not send the key there. Texts are in the response.
pub(super) async fn of_asset<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(AssetPath { id }): Path<AssetPath>,
    Caller(owner): Caller,
) -> Result<Response, ComfyError> {
    let store = app.store()?;
    let signed = match find(store, &owner, &id).await?.ok_or_else(ComfyError::no_asset)? {
        Found::Uploaded(asset) => signed(store, &asset).await,
        Found::Result(_, result) => match result.text() {
            Some(text) => return Ok(plain(text)),
            None => result.signed(store).await,
        },
    };
    let signed = signed.ok_or_else(|| {
        tracing::error!("the url of an asset could not be signed");
        ComfyError::new(ComfyCode::UpstreamError, ApiError::RecordsUnavailable.to_string())
    })?;
    let headers = [(header::LOCATION, signed.url), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::FOUND, headers).into_response())
}

fn plain(text: &str) -> Response {
    const OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");
    ([(header::CONTENT_TYPE, TEXT), (OPTIONS, "nosniff")], text.to_owned()).into_response()
}

/// The presigned address of an uploaded file. A browser saves it, whatever its owner says that it is.
pub(super) async fn signed(store: &TaskStore, asset: &Asset) -> Option<Presigned> {
    let response = [
        ("response-content-disposition", "attachment"),
        ("response-content-type", asset.content_type.as_str()),
    ];
    store.results.presigned_get_as(&asset.key, &response, store.url_lifetime).await
}
