//! Finished jobs: `/history`.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Comfy, execution::JobOutcome, job::Job};

/// The maximum number of entries; the oldest are dropped.
const MAX_ENTRIES: usize = 10_000;

#[derive(Default)]
pub(super) struct History(Map<String, Value>);

impl History {
    /// Adds the outcome of a job. A later job with the same id replaces the entry.
    pub(super) fn add(&mut self, job: &Job, outcome: &JobOutcome) {
        if self.0.len() >= MAX_ENTRIES
            && let Some(oldest) = self.0.keys().next().cloned()
        {
            self.0.shift_remove(&oldest);
        }
        let entry = json!({
            "prompt": job.describe(),
            "outputs": outcome.outputs,
            "status": {
                "status_str": if outcome.completed { "success" } else { "error" },
                "completed": outcome.completed,
                "messages": outcome.messages,
            },
            "meta": outcome.meta,
        });
        self.0.insert(job.id.clone(), entry);
    }

    pub(super) fn get(&self, id: &str) -> Option<&Value> {
        self.0.get(id)
    }

    pub(super) fn entries(&self) -> &Map<String, Value> {
        &self.0
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    max_items: Option<usize>,
    offset: Option<i64>,
}

/// All entries, or `max_items` of them: the last ones, or those from `offset`.
pub(super) async fn list(State(comfy): State<Arc<Comfy>>, Query(page): Query<Page>) -> Response {
    let history = comfy.history();
    let count = page.max_items.unwrap_or(usize::MAX);
    let start = match page.offset.and_then(|offset| usize::try_from(offset).ok()) {
        Some(offset) => offset,
        None => history.0.len().saturating_sub(count),
    };
    let entries: Map<_, _> =
        history.0.iter().skip(start).take(count).map(|(id, entry)| (id.clone(), entry.clone())).collect();
    super::json(StatusCode::OK, &Value::Object(entries))
}

/// One entry under its id; an empty object while the job waits or runs, and for an unknown id.
pub(super) async fn one(State(comfy): State<Arc<Comfy>>, Path(id): Path<String>) -> Response {
    let entry = comfy.history().get(&id).map_or_else(|| json!({}), |entry| json!({id: entry}));
    super::json(StatusCode::OK, &entry)
}

pub(super) async fn change(State(comfy): State<Arc<Comfy>>, body: Bytes) -> Response {
    let Ok(Value::Object(body)) = serde_json::from_slice(&body) else { return super::trouble() };
    let mut history = comfy.history();
    if body.get("clear").and_then(Value::as_bool).unwrap_or_default() {
        history.clear();
    }
    for id in body.get("delete").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        history.0.shift_remove(id);
    }
    StatusCode::OK.into_response()
}
