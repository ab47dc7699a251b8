//! A server that plays recorded calls of SD WebUI.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::Response;
use bytes::Bytes;
use integration_tests::wait;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::server::{self, Heard, Request};

/// A running player.
pub(crate) struct Player {
    pub(crate) url: String,
    stage: Arc<Stage>,
}

struct Stage {
    calls: Vec<Value>,
    /// Whether each was answered.
    answered: Mutex<Vec<bool>>,
    interrupted: watch::Sender<bool>,
    heard: Heard,
    /// Requests that no recording answers.
    unanswered: Mutex<Vec<String>>,
}

impl Player {
    /// Answers each request with the first recorded call of its method and path that was not used; the last stays. A
    /// generation that was recorded after an interrupt is answered after one.
    pub(crate) async fn start(calls: Vec<Value>) -> Self {
        let stage = Arc::new(Stage {
            answered: Mutex::new(vec![false; calls.len()]),
            calls,
            interrupted: watch::Sender::default(),
            heard: Heard::default(),
            unanswered: Mutex::default(),
        });
        let router = Router::new().fallback(hear).with_state(Arc::clone(&stage));
        Self { url: server::serve(router).await, stage }
    }

    /// The requests to that endpoint.
    pub(crate) fn heard(&self, method: &str, endpoint: &str) -> Vec<Request> {
        self.stage.heard.of(&format!("{method} /sdapi/v1/{endpoint}"))
    }

    /// Waits for the first request to that endpoint.
    pub(crate) async fn called(&self, endpoint: &str) {
        wait::until(endpoint, async || self.heard("POST", endpoint).first().map(|_| ())).await;
    }

    /// Requests that no recording answers.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        self.stage.unanswered.lock().unwrap().clone()
    }
}

impl Stage {
    /// The number of the recorded call that answers the request.
    fn find(&self, method: &Method, uri: &Uri) -> Option<usize> {
        let is_it = |call: &Value| {
            call["request"]["method"] == method.as_str() && call["request"]["path"] == uri.to_string()
        };
        let mut answered = self.answered.lock().unwrap();
        let same: Vec<usize> = (0..self.calls.len()).filter(|&n| is_it(&self.calls[n])).collect();
        let next = same.iter().find(|&&n| !answered[n]).or(same.last()).copied()?;
        answered[next] = true;
        Some(next)
    }

    async fn answer(&self, method: &Method, uri: &Uri) -> Option<Response> {
        let call = self.find(method, uri)?;
        if uri.path() == INTERRUPT {
            self.interrupted.send_replace(true);
        }
        let was_interrupted = self.calls[..call].iter().any(|before| before["request"]["path"] == INTERRUPT);
        if was_interrupted && uri.path().ends_with("2img") {
            self.interrupted.subscribe().wait_for(|interrupted| *interrupted).await.ok()?;
        }
        Some(server::answer(&self.calls[call]["response"]))
    }
}

const INTERRUPT: &str = "/sdapi/v1/interrupt";

/// What the worker looks up where a server has it.
const LOOKED_UP: [&str; 9] = [
    "/sdapi/v1/progress",
    "/sdapi/v1/options",
    "/sdapi/v1/sd-models",
    "/sdapi/v1/samplers",
    "/sdapi/v1/schedulers",
    "/sdapi/v1/upscalers",
    "/sdapi/v1/latent-upscale-modes",
    "/sdapi/v1/scripts",
    "/sdapi/v1/sd-vae",
];

async fn hear(State(stage): State<Arc<Stage>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let request = stage.heard.add(&method, &uri, &body);
    stage.answer(&method, &uri).await.unwrap_or_else(|| {
        if method == Method::GET && LOOKED_UP.contains(&uri.path()) {
            return server::answer(&json!({ "status": 404, "body": { "detail": "Not Found" } }));
        }
        stage.unanswered.lock().unwrap().push(request.line);
        server::answer(&json!({ "status": 404, "body": { "detail": "Not Found" } }))
    })
}
