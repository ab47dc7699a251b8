//! CloudWatch Logs on loopback, as far as a worker uses it: one log group, whose streams must be created before they take events.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::wait;

/// A running service.
pub struct CloudWatchLogs {
    /// The value of `AWS_ENDPOINT_URL_CLOUDWATCH_LOGS`.
    pub url: String,
    state: Arc<Mutex<Logs>>,
}

struct Logs {
    group: &'static str,
    streams: Vec<String>,
    events: Vec<Value>,
    refuses: bool,
}

impl CloudWatchLogs {
    /// Starts one with that log group.
    pub async fn start(group: &'static str) -> Self {
        let logs = Logs { group, streams: Vec::new(), events: Vec::new(), refuses: false };
        let state = Arc::new(Mutex::new(logs));
        let router = Router::new().route("/", post(call)).with_state(Arc::clone(&state));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    /// Whether calls are refused from now on.
    pub fn refuse(&self, refuses: bool) {
        self.state.lock().unwrap().refuses = refuses;
    }

    /// The messages of all events, which are JSON.
    pub fn documents(&self) -> Vec<Value> {
        self.state.lock().unwrap().events.clone()
    }

    /// Waits until `find` finds something among the messages.
    pub async fn until<T>(&self, what: &str, find: impl Fn(&[Value]) -> Option<T>) -> T {
        wait::until(what, async || find(&self.documents())).await
    }
}

/// The JSON protocol of AWS: the action is in a header.
async fn call(State(state): State<Arc<Mutex<Logs>>>, headers: HeaderMap, body: String) -> Response {
    let mut logs = state.lock().unwrap();
    let refused = |code: &str| (StatusCode::BAD_REQUEST, Json(json!({ "__type": code }))).into_response();
    if logs.refuses {
        return refused("AccessDeniedException");
    }
    let body: Value = serde_json::from_str(&body).unwrap();
    assert!(headers["authorization"].to_str().unwrap().contains("/logs/aws4_request"));
    let stream = body["logStreamName"].as_str().unwrap().to_owned();
    if body["logGroupName"] != logs.group {
        return refused("ResourceNotFoundException");
    }
    match headers["x-amz-target"].to_str().unwrap() {
        "Logs_20140328.CreateLogStream" => logs.streams.push(stream),
        "Logs_20140328.PutLogEvents" if !logs.streams.contains(&stream) => {
            return refused("ResourceNotFoundException");
        }
        "Logs_20140328.PutLogEvents" => {
            let events = body["logEvents"].as_array().unwrap();
            assert!(events.is_sorted_by_key(|event| event["timestamp"].as_i64().unwrap()), "{events:?}");
            let messages = events.iter().map(|event| event["message"].as_str().unwrap());
            logs.events.extend(messages.map(|message| serde_json::from_str::<Value>(message).unwrap()));
        }
        other => panic!("unknown call {other}"),
    }
    Json(json!({})).into_response()
}
