//! `GET /assets/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};

use super::view::AssetView;
use super::{AssetPath, find};
use crate::comfy::error::ComfyError;
use crate::comfy::links::Links;
use crate::steps::publish::Publisher;
use crate::{App, Caller};

pub(super) async fn asset<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(AssetPath { id }): Path<AssetPath>,
    links: Links,
    Caller(owner): Caller,
) -> Result<Json<AssetView>, ComfyError> {
    let store = app.store()?;
    let found = find(store, &owner, &id).await?.ok_or_else(ComfyError::no_asset)?;
    Ok(Json(AssetView::new(store, &links, found).await))
}
