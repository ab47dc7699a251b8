//! Read-only routes: system, features, node classes, models.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::Comfy;

/// As recorded on a machine without a GPU.
const SYSTEM_STATS: &str = include_str!("system_stats.json");

/// Largest upload, in bytes.
const MAX_UPLOAD: u32 = 104_857_600;

pub(super) async fn system_stats(State(comfy): State<Arc<Comfy>>) -> Response {
    let mut stats: Value = serde_json::from_str(SYSTEM_STATS).unwrap_or_default();
    if let Some(version) = stats.pointer_mut("/system/comfyui_version") {
        *version = json!(comfy.version.as_str());
    }
    super::json(StatusCode::OK, &stats)
}

/// What the server can do; also its answer to a client's `feature_flags`.
pub(super) fn feature_flags() -> Value {
    json!({
        "supports_preview_metadata": true,
        "max_upload_size": MAX_UPLOAD,
        "extension": {"manager": {"supports_v4": true}},
        "node_replacements": true,
        "assets": false,
    })
}

pub(super) async fn features() -> Response {
    super::json(StatusCode::OK, &feature_flags())
}

pub(super) async fn all_nodes(State(comfy): State<Arc<Comfy>>) -> Response {
    super::json(StatusCode::OK, &Value::Object(comfy.definitions.all().clone()))
}

/// An unknown class is no error: the object is empty.
pub(super) async fn one_node(State(comfy): State<Arc<Comfy>>, Path(class): Path<String>) -> Response {
    let found =
        comfy.definitions.class(&class).map_or_else(|| json!({}), |definition| json!({class: definition}));
    super::json(StatusCode::OK, &found)
}

pub(super) async fn models(State(comfy): State<Arc<Comfy>>, Path(folder): Path<String>) -> Response {
    match folder.as_str() {
        "checkpoints" => super::json(StatusCode::OK, &json!(comfy.definitions.models)),
        "loras" | "vae" | "controlnet" | "upscale_models" | "embeddings" => {
            super::json(StatusCode::OK, &json!([]))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
