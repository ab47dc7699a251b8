//! A server that plays recorded calls of stable-diffusion.cpp.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::Response;
use base64_simd::STANDARD as BASE64;
use bytes::Bytes;
use integration_tests::image_server::cat;
use serde_json::{Value, json};

use crate::server::{self, Request, RequestLog};

/// A running player.
pub(crate) struct Player {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    calls: Vec<Value>,
    /// Whether each was answered.
    answered: Mutex<Vec<bool>>,
    requests: RequestLog,
}

impl Player {
    /// Answers each request with the first call of its method and path that was not used; the last stays. Recordings hold
    /// only the beginning of an image; a whole one takes its place.
    pub(crate) async fn start(mut calls: Vec<Value>) -> Self {
        for call in &mut calls {
            let images = call.pointer_mut("/response/body/result/images").and_then(Value::as_array_mut);
            for image in images.into_iter().flatten() {
                if image["b64_json"].as_str().is_some_and(|text| text.contains('…')) {
                    image["b64_json"] = json!(BASE64.encode_to_string(cat()));
                }
            }
        }
        let shared = Arc::new(Shared {
            answered: Mutex::new(vec![false; calls.len()]),
            calls,
            requests: RequestLog::default(),
        });
        let router = Router::new().fallback(play).with_state(Arc::clone(&shared));
        Self { url: server::serve(router).await, shared }
    }

    /// The requests with that method and path below the interface.
    pub(crate) fn requests(&self, method: &str, path: &str) -> Vec<Request> {
        self.shared.requests.of(&format!("{method} /sdcpp/v1/{path}"))
    }
}

async fn play(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, body: Bytes) -> Response {
    shared.requests.add(&method, &uri, &body);
    let matches = |call: &Value| {
        call["request"]["method"] == method.as_str() && call["request"]["path"] == uri.to_string()
    };
    let mut answered = shared.answered.lock().unwrap();
    let same: Vec<usize> = (0..shared.calls.len()).filter(|&n| matches(&shared.calls[n])).collect();
    match same.iter().find(|&&n| !answered[n]).or(same.last()) {
        Some(&n) => {
            answered[n] = true;
            server::answer(&shared.calls[n]["response"])
        }
        None => server::answer(&json!({ "status": 404, "body": "" })),
    }
}
