//! A server that plays recorded calls of OpenAI's Images API.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use integration_tests::image_server::cat;
use serde_json::Value;

use crate::server;

/// A running player.
pub(crate) struct Player {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

/// One request that a player received.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

struct Shared {
    /// With whether each was played.
    calls: Mutex<Vec<(Value, bool)>>,
    requests: Mutex<Vec<Request>>,
}

impl Player {
    /// Answers each request with the first call of its method and path that was not played; with 404 if there is none.
    pub(crate) async fn start(calls: impl IntoIterator<Item = Value>) -> Self {
        let calls = calls.into_iter().map(|call| (call, false)).collect();
        let shared = Arc::new(Shared { calls: Mutex::new(calls), requests: Mutex::default() });
        let router = Router::new().fallback(play).with_state(Arc::clone(&shared));
        Self { url: server::serve(router).await, shared }
    }

    /// All requests, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The lines of all requests, in order.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.requests().into_iter().map(|request| request.line).collect()
    }
}

async fn play(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    shared.requests.lock().unwrap().push(Request { line: format!("{method} {uri}"), headers, body });
    let mut calls = shared.calls.lock().unwrap();
    let matches = |call: &Value| {
        call["request"]["method"] == method.as_str() && call["request"]["path"] == uri.to_string()
    };
    // Calls that only read can be played again.
    let found =
        calls.iter_mut().find(|(call, is_played)| matches(call) && (!*is_played || method == Method::GET));
    let Some((call, is_played)) = found else { return StatusCode::NOT_FOUND.into_response() };
    *is_played = true;
    let mut response = call["response"].clone();
    if response["body"] == "@PNG" {
        return ([("content-type", "image/png")], Body::from(cat())).into_response();
    }
    complete(&mut response["body"]);
    server::answer(&response)
}

/// Puts whole images in place of those that were cut in the recording.
fn complete(value: &mut Value) {
    match value {
        Value::String(text) if text.contains("…(") => *text = BASE64.encode_to_string(cat()),
        Value::Array(items) => items.iter_mut().for_each(complete),
        Value::Object(fields) => fields.values_mut().for_each(complete),
        _ => {}
    }
}
