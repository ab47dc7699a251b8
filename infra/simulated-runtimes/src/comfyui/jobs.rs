//! `/api/jobs`: the same jobs as in queue and history, in the shape of ComfyUI 0.25.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Comfy, job::Job, messages};

#[derive(Deserialize)]
pub(super) struct Selection {
    /// States to show, separated by commas.
    status: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    offset: usize,
    sort_order: Option<String>,
}

/// Newest first, unless `sort_order=asc`.
pub(super) async fn list(State(comfy): State<Arc<Comfy>>, Query(selection): Query<Selection>) -> Response {
    let mut jobs = all(&comfy);
    if let Some(states) = &selection.status {
        let states: Vec<_> = states.split(',').collect();
        jobs.retain(|job| {
            job.get("status").and_then(Value::as_str).is_some_and(|state| states.contains(&state))
        });
    }
    jobs.sort_by_key(|job| job.get("create_time").and_then(Value::as_u64));
    if selection.sort_order.as_deref() != Some("asc") {
        jobs.reverse();
    }
    let total = jobs.len();
    let limit = selection.limit.unwrap_or(usize::MAX);
    let page: Vec<_> = jobs.into_iter().skip(selection.offset).take(limit).collect();
    let has_more = selection.offset + page.len() < total;
    let pagination =
        json!({"offset": selection.offset, "limit": selection.limit, "total": total, "has_more": has_more});
    super::json(StatusCode::OK, &json!({"jobs": page, "pagination": pagination}))
}

pub(super) async fn one(State(comfy): State<Arc<Comfy>>, Path(id): Path<String>) -> Response {
    let job = unfinished(&comfy).into_iter().find(|(_, job)| job.id == id).map(|(state, job)| {
        let mut summary = waiting(&job, state);
        summary.insert("workflow".to_owned(), json!({"prompt": job.prompt, "extra_data": job.extra_data}));
        summary
    });
    let job = job.or_else(|| {
        let history = comfy.history();
        let entry = history.get(&id)?;
        let mut summary = finished(&id, entry)?;
        let (prompt, extra_data) = (entry.pointer("/prompt/2")?, entry.pointer("/prompt/3")?);
        summary.insert("outputs".to_owned(), entry.get("outputs")?.clone());
        summary.insert("execution_status".to_owned(), entry.get("status")?.clone());
        summary.insert("workflow".to_owned(), json!({"prompt": prompt, "extra_data": extra_data}));
        Some(summary)
    });
    match job {
        Some(job) => super::json(StatusCode::OK, &Value::Object(job)),
        None => super::json(StatusCode::NOT_FOUND, &json!({"error": "Job not found"})),
    }
}

/// Removes a job from the queue, or interrupts it if it runs. A finished or unknown job is no error.
pub(super) async fn cancel(State(comfy): State<Arc<Comfy>>, Path(id): Path<String>) -> Response {
    super::json(StatusCode::OK, &json!({"cancelled": cancelled(&comfy, &id)}))
}

/// The same for several.
pub(super) async fn cancel_several(State(comfy): State<Arc<Comfy>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let Some(ids) = body.get("job_ids").and_then(Value::as_array) else {
        return super::json(StatusCode::BAD_REQUEST, &json!({"error": "job_ids must be a list"}));
    };
    let count = ids.iter().filter_map(Value::as_str).filter(|id| cancelled(&comfy, id)).count();
    super::json(StatusCode::OK, &json!({"cancelled": count > 0}))
}

fn cancelled(comfy: &Comfy, id: &str) -> bool {
    let mut queue = comfy.queue();
    if queue.running().is_some_and(|job| job.id == id) {
        comfy.interrupted.store(true, Ordering::SeqCst);
        return true;
    }
    let was_pending = queue.remove(id);
    drop(queue);
    if was_pending {
        messages::status(comfy);
    }
    was_pending
}

fn all(comfy: &Comfy) -> Vec<Map<String, Value>> {
    let open = unfinished(comfy);
    let mut jobs: Vec<_> = open.iter().map(|(state, job)| waiting(job, state)).collect();
    jobs.extend(comfy.history().entries().iter().filter_map(|(id, entry)| finished(id, entry)));
    jobs
}

fn unfinished(comfy: &Comfy) -> Vec<(&'static str, Job)> {
    let queue = comfy.queue();
    let running = queue.running().map(|job| ("in_progress", job.clone()));
    let pending = queue.pending().iter().map(|job| ("pending", job.clone()));
    running.into_iter().chain(pending).collect()
}

fn waiting(job: &Job, state: &str) -> Map<String, Value> {
    let mut summary = Map::new();
    summary.insert("id".to_owned(), json!(job.id));
    summary.insert("status".to_owned(), json!(state));
    summary.insert("priority".to_owned(), job.number.clone());
    summary.insert("create_time".to_owned(), job.extra_data.get("create_time").cloned().unwrap_or_default());
    summary.insert("outputs_count".to_owned(), json!(0));
    summary
}

fn finished(id: &str, entry: &Value) -> Option<Map<String, Value>> {
    let messages = entry.pointer("/status/messages")?.as_array()?;
    let time = |message: &Value| message.pointer("/1/timestamp").cloned().unwrap_or_default();
    let last = messages.last()?;
    let status = match last.get(0).and_then(Value::as_str) {
        Some("execution_interrupted") => "cancelled",
        Some("execution_error") => "failed",
        _ => "completed",
    };
    let outputs = entry.get("outputs")?.as_object()?;
    let previews: Vec<Value> = outputs.iter().flat_map(|(node, output)| previews(node, output)).collect();
    let mut summary = Map::new();
    summary.insert("id".to_owned(), json!(id));
    summary.insert("status".to_owned(), json!(status));
    summary.insert("priority".to_owned(), entry.pointer("/prompt/0")?.clone());
    summary.insert("create_time".to_owned(), entry.pointer("/prompt/3/create_time")?.clone());
    summary.insert("execution_start_time".to_owned(), messages.first().map(time).unwrap_or_default());
    summary.insert("execution_end_time".to_owned(), time(last));
    if status == "failed" {
        summary.insert("execution_error".to_owned(), last.get(1)?.clone());
    }
    summary.insert("outputs_count".to_owned(), json!(previews.len()));
    let saved = |preview: &&Value| preview.get("type").and_then(Value::as_str) == Some("output");
    if let Some(preview) = previews.iter().find(saved).or(previews.first()) {
        summary.insert("preview_output".to_owned(), preview.clone());
    }
    Some(summary)
}

/// What can be shown of one node's output: files and texts.
fn previews(node: &str, output: &Value) -> Vec<Value> {
    let mut previews = Vec::new();
    for (media, items) in output.as_object().into_iter().flatten() {
        for item in items.as_array().into_iter().flatten() {
            match item {
                Value::Object(file) => {
                    let mut preview = file.clone();
                    preview.insert("nodeId".to_owned(), json!(node));
                    preview.insert("mediaType".to_owned(), json!(media));
                    previews.push(Value::Object(preview));
                }
                Value::String(text) if media == "text" => {
                    previews.push(json!({"content": text, "nodeId": node, "mediaType": media}));
                }
                _ => {}
            }
        }
    }
    previews
}
