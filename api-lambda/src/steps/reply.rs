//! Last step: the answer to an accepted task, with the fields that predecessors' clients read, and more.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use shared_schema::keys;
use shared_schema::message::Route;

use super::ApiVersion;
use super::publish::Published;

#[derive(Debug, Serialize)]
struct V1Alpha2<'a> {
    id: Value,
    runtime: &'a str,
    output_location: String,
    /// The predecessor's documents promise it; its code forgot it.
    id_task: Value,
    submission: &'a str,
}

#[derive(Debug, Serialize)]
struct V1Alpha1<'a> {
    id_task: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    sd_model_checkpoint: Option<&'a Value>,
    output_location: String,
    /// Absent when the queues filter by model, and nobody here knows which runtime that is.
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<&'a str>,
    submission: &'a str,
}

/// The answer to a task that has been published.
pub(crate) fn accepted(version: ApiVersion, bucket: &str, published: &Published) -> Response {
    let Published { task, route, submission } = published;
    let metadata = &task.metadata;
    let output_location = keys::output_location(bucket, &metadata.prefix, &metadata.id);
    match version {
        ApiVersion::V1Alpha1 => Json(V1Alpha1 {
            id_task: metadata.id.to_json(),
            sd_model_checkpoint: task
                .content
                .get("alwayson_scripts")
                .and_then(|scripts| scripts.get("sd_model_checkpoint")),
            output_location,
            runtime: match route {
                Route::Runtime(name) => Some(name.as_str()),
                Route::Model(_) => None,
            },
            submission: submission.as_str(),
        })
        .into_response(),
        ApiVersion::V1Alpha2 => Json(V1Alpha2 {
            id: metadata.id.to_json(),
            runtime: metadata.runtime.as_str(),
            output_location,
            id_task: metadata.id.to_json(),
            submission: submission.as_str(),
        })
        .into_response(),
    }
}
