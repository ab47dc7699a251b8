//! A server that replays recorded calls of SD WebUI.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::response::Response;
use bytes::Bytes;
use integration_tests::wait;
use serde_json::{Value, json};
use tokio::sync::watch;

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
    interrupted: watch::Sender<bool>,
    requests: RequestLog,
    /// Requests that no recording answers.
    unanswered: Mutex<Vec<String>>,
}

impl Player {
    /// Answers each request with the first recorded call of its method and path that was not used; the last stays. A
    /// generation that was recorded after an interrupt is answered after one.
    pub(crate) async fn start(calls: Vec<Value>) -> Self {
        let shared = Arc::new(Shared {
            answered: Mutex::new(vec![false; calls.len()]),
            calls,
            interrupted: watch::Sender::default(),
            requests: RequestLog::default(),
            unanswered: Mutex::default(),
        });
        let router = Router::new().fallback(handle).with_state(Arc::clone(&shared));
        Self { url: server::serve(router).await, shared }
    }

    /// The requests to that endpoint.
    pub(crate) fn requests(&self, method: &str, endpoint: &str) -> Vec<Request> {
        self.shared.requests.of(&format!("{method} /sdapi/v1/{endpoint}"))
    }

    /// Waits for the first request to that endpoint.
    pub(crate) async fn called(&self, endpoint: &str) {
        wait::until(endpoint, async || self.requests("POST", endpoint).first().map(|_| ())).await;
    }

    /// Requests that no recording answers.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        self.shared.unanswered.lock().unwrap().clone()
    }
}

impl Shared {
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

/// The lists that the worker requests where a server has them.
const LISTS: [&str; 9] = [
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

async fn handle(State(shared): State<Arc<Shared>>, method: Method, uri: Uri, body: Bytes) -> Response {
    let request = shared.requests.add(&method, &uri, &body);
    shared.answer(&method, &uri).await.unwrap_or_else(|| {
        if method == Method::GET && LISTS.contains(&uri.path()) {
            return server::answer(&json!({ "status": 404, "body": { "detail": "Not Found" } }));
        }
        shared.unanswered.lock().unwrap().push(request.line);
        server::answer(&json!({ "status": 404, "body": { "detail": "Not Found" } }))
    })
}
