//! The queue: `/queue`, `/interrupt` and `/free`.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Comfy, job::Job, messages};

#[derive(Default)]
pub(super) struct Queue {
    /// In the order in which they will run.
    pending: Vec<Job>,
    running: Option<Job>,
    /// Number of the next prompt; invalid prompts use one up too.
    counter: i64,
    /// Two pending jobs cannot be ordered: dequeuing the next one crashes ComfyUI's worker thread.
    poisoned: bool,
}

impl Queue {
    /// The number of the next prompt.
    pub(super) fn count(&mut self) -> i64 {
        self.counter += 1;
        self.counter - 1
    }

    /// Queues a job behind those with a lower number. False if another pending job has the same number and id: ComfyUI then
    /// answers with an error, still queues the job, and its worker crashes.
    pub(super) fn push(&mut self, job: Job) -> bool {
        let key = |job: &Job| (job.order(), job.id.clone());
        let twin = self.pending.iter().any(|other| key(other) == key(&job));
        self.poisoned |= twin;
        let place = self.pending.partition_point(|other| key(other) <= key(&job));
        self.pending.insert(place, job);
        !twin
    }

    /// Whether a job of that id waits or runs.
    pub(super) fn has(&self, id: &str) -> bool {
        self.running.iter().chain(&self.pending).any(|job| job.id == id)
    }

    /// Removes a pending job; returns whether there was one.
    pub(super) fn remove(&mut self, id: &str) -> bool {
        let before = self.pending.len();
        self.pending.retain(|job| job.id != id);
        self.pending.len() != before
    }

    pub(super) fn has_work(&self) -> bool {
        !self.pending.is_empty()
    }

    pub(super) fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// Dequeues the next job.
    pub(super) fn begin(&mut self) -> Option<Job> {
        if self.pending.is_empty() {
            return None;
        }
        self.running = Some(self.pending.remove(0));
        self.running.clone()
    }

    pub(super) fn finish(&mut self) {
        self.running = None;
    }

    pub(super) fn running(&self) -> Option<&Job> {
        self.running.as_ref()
    }

    pub(super) fn pending(&self) -> &[Job] {
        &self.pending
    }

    pub(super) fn remaining(&self) -> usize {
        self.pending.len() + usize::from(self.running.is_some())
    }
}

pub(super) async fn list(State(comfy): State<Arc<Comfy>>) -> Response {
    let queue = comfy.queue();
    let describe = |jobs: &[Job]| jobs.iter().map(Job::describe).collect::<Vec<_>>();
    let running = describe(queue.running.as_slice());
    super::json(StatusCode::OK, &json!({"queue_running": running, "queue_pending": describe(&queue.pending)}))
}

/// Deletes pending jobs; a running one continues. Unknown ids are ignored.
pub(super) async fn change(State(comfy): State<Arc<Comfy>>, body: Bytes) -> Response {
    let Ok(Value::Object(body)) = serde_json::from_slice(&body) else { return super::trouble() };
    let mut queue = comfy.queue();
    let before = queue.pending.len();
    if body.get("clear").and_then(Value::as_bool).unwrap_or_default() {
        queue.pending.clear();
    }
    if let Some(ids) = body.get("delete").and_then(Value::as_array) {
        queue.pending.retain(|job| !ids.contains(&json!(job.id)));
    }
    let changed = queue.pending.len() != before;
    drop(queue);
    if changed {
        messages::status(&comfy);
    }
    StatusCode::OK.into_response()
}

/// Interrupts the running job, or with a `prompt_id` that job if it is the one that runs.
pub(super) async fn interrupt(State(comfy): State<Arc<Comfy>>, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let interrupts = match body.get("prompt_id").and_then(Value::as_str) {
        Some(id) => comfy.queue().running().is_some_and(|job| job.id == id),
        None => true,
    };
    if interrupts {
        comfy.interrupted.store(true, Ordering::SeqCst);
    }
    StatusCode::OK.into_response()
}

/// The worker frees memory after the running job; there is only the cache to free here.
pub(super) async fn free(State(comfy): State<Arc<Comfy>>, body: Bytes) -> Response {
    let Ok(Value::Object(body)) = serde_json::from_slice(&body) else { return super::trouble() };
    if body.get("free_memory").and_then(Value::as_bool).unwrap_or_default() {
        comfy.clear_cache.store(true, Ordering::SeqCst);
    }
    StatusCode::OK.into_response()
}
