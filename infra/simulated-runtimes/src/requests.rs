//! The log of requests, for tests.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use crate::machine::Machine;

/// The maximum number of recorded requests; the oldest are dropped.
const MAX_REQUESTS: usize = 2_000;
/// Bodies above this size, in bytes, are not recorded.
const MAX_RECORDED_BODY: usize = 1024 * 1024;
/// How many of the last bodies are recorded.
const MAX_RECORDED_BODIES: usize = 100;
/// Largest request body, in bytes: ComfyUI's `--max-upload-size` of 100 MB.
const MAX_BODY: usize = 104_857_600;

/// One HTTP request, as it was received.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The method, such as `POST`.
    pub method: Method,
    /// Path and query as sent, such as `/sdapi/v1/progress?skip_current_image=true`.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body if it was JSON of at most 1 MiB, for the last 100 requests that had one.
    pub body: Option<Value>,
    /// When the body was received.
    pub at: Instant,
}

#[derive(Default)]
pub(crate) struct RequestLog(Mutex<VecDeque<RecordedRequest>>);

impl RequestLog {
    pub(crate) fn all(&self) -> Vec<RecordedRequest> {
        self.lock().iter().cloned().collect()
    }

    fn record(&self, method: Method, path: String, headers: HeaderMap, body: &Bytes) {
        let body = if body.len() <= MAX_RECORDED_BODY { serde_json::from_slice(body).ok() } else { None };
        let mut requests = self.lock();
        requests.push_back(RecordedRequest { method, path, headers, body, at: Instant::now() });
        if requests.len() > MAX_REQUESTS {
            requests.pop_front();
        }
        let mut with_body = requests.iter_mut().rev().filter(|request| request.body.is_some());
        if let Some(oldest) = with_body.nth(MAX_RECORDED_BODIES) {
            oldest.body = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<RecordedRequest>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Middleware: reads the whole body, records the request and forwards it.
pub(crate) async fn record(State(machine): State<Arc<Machine>>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        let text = format!("Maximum request body size {MAX_BODY} exceeded.");
        return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
    };
    let path = parts.uri.path_and_query().map_or_else(|| parts.uri.path(), |path| path.as_str()).to_owned();
    machine.requests.record(parts.method.clone(), path, parts.headers.clone(), &body);
    next.run(Request::from_parts(parts, Body::from(body))).await
}
