//! `POST /v1/tasks` and `POST /v1/tasks/batch`.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::body::Body;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use shared_schema::envelope::v1;
use shared_schema::{Submission, Violation, ViolationCode};
use task_records::idempotency::{Claim, Request};
use task_records::{Owner, Record};

use super::idempotency::{self, IdempotencyKey};
use super::links::Links;
use super::task::TaskView;
use crate::comfy::assets::references;
use crate::error::ApiError;
use crate::problem::Problem;
use crate::steps::publish::{Identity, Publisher, publish};
use crate::steps::{record, request};
use crate::store::TaskStore;
use crate::{App, Caller, trace};

/// The most tasks of a batch.
const MAX_BATCH: usize = 100;
/// How many tasks of a batch are published at once.
const AT_ONCE: usize = 10;

/// A submitted task.
pub(crate) struct Submitted {
    pub(crate) record: Record,
    /// The response repeats that of an earlier request.
    pub(crate) is_replay: bool,
}

/// What is submitted: a request of `v1`, and the task that it retries.
pub(crate) struct Order {
    pub(crate) request: v1::Request,
    pub(crate) api: Api,
    pub(crate) retry_of: Option<String>,
}

/// The API that a task comes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// `v1`.
    V1,
    /// Comfy API v2.
    ComfyV2,
}

impl Api {
    /// Its name in records.
    fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::ComfyV2 => "comfy-v2",
        }
    }

    /// Whether a second request with an idempotency key is refused, whatever became of the first.
    fn uses_keys_once(self) -> bool {
        self == Self::ComfyV2
    }
}

pub(super) async fn one<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    OriginalUri(uri): OriginalUri,
    Caller(owner): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    app.store()?;
    let body = request::read(body, app.config.max_body_bytes).await?;
    let key = IdempotencyKey::of(&headers, "/v1/tasks", &body)?;
    let submitted = submit_body(&app, owner, key, body).await?;
    let links = Links::of(&uri);
    Ok(accepted(submitted, &links))
}

/// The response to a submitted task.
pub(super) fn accepted(submitted: Submitted, links: &Links) -> Response {
    let location = HeaderValue::from_str(&links.task(&submitted.record.id));
    let view = TaskView::new(submitted.record, links, None);
    let mut response = (StatusCode::ACCEPTED, Json(view)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    if submitted.is_replay {
        let name = HeaderName::from_static(idempotency::REPLAYED);
        response.headers_mut().insert(name, HeaderValue::from_static("true"));
    }
    response
}

/// Each task has its own result: the status of a single request, and the task or the problem.
pub(super) async fn batch<P: Publisher>(
    State(app): State<Arc<App<P>>>,
    OriginalUri(uri): OriginalUri,
    Caller(owner): Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    app.store()?;
    let body = request::read(body, app.config.max_body_bytes).await?;
    let key = IdempotencyKey::of(&headers, "/v1/tasks/batch", &body)?;
    let tasks = tasks(body)?;
    let links = Links::of(&uri);
    let submitting = tasks.into_iter().enumerate().map(|(n, task)| {
        let key = key.as_ref().map(|key| key.nth(n, &task));
        submit_body(&app, owner.clone(), key, task)
    });
    let submitting: Vec<_> = submitting.collect();
    let results: Vec<Value> = stream::iter(submitting)
        .buffered(AT_ONCE)
        .map(|result| match result {
            Ok(Submitted { record, is_replay }) => json!({
                "status": StatusCode::ACCEPTED.as_u16(),
                "replayed": is_replay,
                "task": TaskView::new(record, &links, None),
            }),
            Err(error) => json!({ "status": error.code().status().as_u16(), "error": Problem::of(&error) }),
        })
        .collect()
        .await;
    Ok((StatusCode::OK, Json(json!({ "results": results }))).into_response())
}

fn tasks(mut body: Value) -> Result<Vec<Value>, ApiError> {
    let tasks = body.get_mut("tasks").map(Value::take);
    match tasks {
        Some(Value::Array(tasks)) if (1..=MAX_BATCH).contains(&tasks.len()) => Ok(tasks),
        found => {
            let code = match found {
                None => ViolationCode::Missing,
                Some(Value::Array(tasks)) if tasks.is_empty() => ViolationCode::TooSmall,
                Some(Value::Array(_)) => ViolationCode::TooLarge,
                Some(_) => ViolationCode::WrongType,
            };
            let message = format!("must be a list of 1 to {MAX_BATCH} tasks");
            Err(ApiError::InvalidTask(vec![Violation::new("/tasks", code, message)]))
        }
    }
}

async fn submit_body<P: Publisher>(
    app: &App<P>,
    owner: Owner,
    key: Option<IdempotencyKey>,
    body: Value,
) -> Result<Submitted, ApiError> {
    let id = Submission::mint();
    let request = trace::validating(|| app.contract.v1(body, &id).map_err(ApiError::InvalidTask))?;
    submit(app, owner, key, id, Order { request, api: Api::V1, retry_of: None }).await
}

/// Submits a task: claims its idempotency key, creates its record, publishes it. A response of success means that the task has
/// been published, by this or by an earlier request with the key.
pub(crate) async fn submit<P: Publisher>(
    app: &App<P>,
    owner: Owner,
    key: Option<IdempotencyKey>,
    new_id: Submission,
    order: Order,
) -> Result<Submitted, ApiError> {
    let store = app.store()?;
    let key = key.as_ref().map(|IdempotencyKey { key, digest }| Request { owner: &owner, key, digest });
    let id = match key {
        None => new_id,
        Some(key) if order.api.uses_keys_once() => {
            let is_new = store.records.claim_once(key, new_id.as_str(), SystemTime::now()).await?;
            if is_new { new_id } else { return Err(ApiError::IdempotencyKeyReused) }
        }
        Some(key) => match store.records.claim(key, new_id.as_str(), SystemTime::now()).await? {
            Claim::Claimed(id) => Submission::parse(&id).ok_or(ApiError::RecordsUnavailable)?,
            Claim::Published(record) => return Ok(Submitted { record: *record, is_replay: true }),
            Claim::InProgress => return Err(ApiError::IdempotencyKeyInUse),
            Claim::Reused(_) => return Err(ApiError::IdempotencyKeyReused),
        },
    };
    let is_used_once = order.api.uses_keys_once();
    let submitted = record_and_publish(app, store, &owner, &id, order).await;
    if let Err(error) = &submitted {
        // A refused task is not submitted, so its key is free again. If the service was not available, the next request
        // continues with the same id: this one may have been published all the same.
        let is_refused = match error {
            ApiError::PublishUnavailable => false,
            // Nothing has been published yet. Only a request that may be repeated is continued.
            ApiError::RecordsUnavailable => is_used_once,
            _ => true,
        };
        match key {
            Some(key) if is_refused => {
                record::log(store.records.release(key, id.as_str()).await, "idempotency key not released");
            }
            Some(key) => {
                record::log(store.records.abandon(key, id.as_str()).await, "idempotency key not abandoned");
            }
            None => {}
        }
        if is_refused || key.is_none() {
            record::log(
                store.records.discard(id.as_str()).await,
                "task record of a refused task not deleted",
            );
        }
    }
    submitted
}

async fn record_and_publish<P: Publisher>(
    app: &App<P>,
    store: &TaskStore,
    owner: &Owner,
    id: &Submission,
    Order { request, api, retry_of }: Order,
) -> Result<Submitted, ApiError> {
    let records = &store.records;
    let limit = app.config.max_unfinished_tasks;
    if limit > 0 && records.count_unfinished(owner, limit).await? >= limit {
        return Err(ApiError::TooManyTasks { limit });
    }
    let v1::Request { mut accepted, labels } = request;
    references::resolve(store, owner, &mut accepted.task).await?;
    let new =
        Record { labels, retry_of, ..record::new(app, api.as_str(), &accepted.task, id.as_str(), owner) };
    records.create(&new).await?;
    let identity =
        Identity { submission: id.clone(), owner: Some(owner.clone()), is_kept: api == Api::ComfyV2 };
    publish(app, accepted, &identity).await?;
    // The task is published: a lost mark only means that a repeated request publishes it again, under the same id.
    record::log(records.published(id.as_str()).await, "task record not marked as published");
    Ok(Submitted { record: Record { published: true, ..new }, is_replay: false })
}
