//! `POST /jobs`.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use shared_schema::{RuntimeName, Submission, TaskType};

use super::error::{ComfyCode, ComfyError};
use super::job::JobView;
use super::links::Links;
use super::metadata;
use super::runtime::RuntimePath;
use crate::error::ApiError;
use crate::steps::publish::Publisher;
use crate::steps::request;
use crate::v1::idempotency::IdempotencyKey;
use crate::v1::submit::{Api, Order, submit};
use crate::{App, Caller, trace};

/// Submits a workflow as a task of `v1`. The SDKs take no other status than 201 for success.
pub(super) async fn job<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    Path(path): Path<RuntimePath>,
    links: Links,
    Caller(owner): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ComfyError> {
    app.store()?;
    let runtime = path.runtime(&app)?;
    let body = request::read(body, app.config.max_body_bytes).await?;
    let key = IdempotencyKey::of(&headers, "/api/v2/jobs", &body)?.map(IdempotencyKey::of_comfy);
    let id = Submission::mint();
    let body = task(body, &runtime)?;
    let request = trace::validating(|| app.contract.v1(body, &id).map_err(ApiError::InvalidTask))?;
    let order = Order { request, api: Api::ComfyV2, retry_of: None };
    let record = submit(&app, owner, key, id, order).await?.record;
    let view = JobView::new(record, &links, Vec::new());
    let location = HeaderValue::from_str(&view.urls.this);
    let mut response = (StatusCode::CREATED, Json(view)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// The body of `POST /v1/tasks` for a body of this API.
fn task(body: Value, runtime: &RuntimeName) -> Result<Value, ComfyError> {
    let refused = |code, message: &str| Err(ComfyError::new(code, message));
    let Value::Object(mut body) = body else {
        return refused(ComfyCode::InvalidRequest, "the body must be an object");
    };
    if body.contains_key("webhook_url") || body.contains_key("inputs") {
        let message = "`webhook_url` and `inputs` are reserved and not accepted";
        return refused(ComfyCode::InvalidWorkflow, message);
    }
    if let Some(extra) = body.get("extra_data").filter(|extra| !extra.is_null()) {
        check_extra_data(extra)?;
    }
    let Some(workflow) = body.shift_remove("workflow") else {
        return refused(ComfyCode::InvalidWorkflow, "`workflow` is missing: a graph in API format");
    };
    let mut task = Map::from_iter([
        ("runtime".to_owned(), json!(runtime)),
        ("type".to_owned(), json!(TaskType::Pipeline)),
        ("content".to_owned(), workflow),
    ]);
    if let Some(metadata) = body.shift_remove("metadata").filter(|metadata| !metadata.is_null()) {
        metadata::check(&metadata)?;
        task.insert("labels".to_owned(), metadata);
    }
    Ok(Value::Object(task))
}

/// The key of a user at Comfy would rest in the queue and in the bucket, so none is taken.
fn check_extra_data(extra: &Value) -> Result<(), ComfyError> {
    match extra.as_object() {
        Some(fields) if fields.is_empty() => Ok(()),
        Some(fields) if fields.keys().all(|name| name == "api_key_comfy_org") => {
            let message = "`extra_data.api_key_comfy_org` is not accepted: this server runs no partner nodes, and stores no \
                           keys; submit without `api_key`";
            Err(ComfyError::new(ComfyCode::InvalidWorkflow, message))
        }
        _ => {
            Err(ComfyError::new(ComfyCode::InvalidRequest, "`extra_data` can have only `api_key_comfy_org`"))
        }
    }
}
