//! Code shared by the servers that replay recordings.

use std::net::Ipv4Addr;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Uri};
use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

/// One request that a server received.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Method and path with query, as in `GET /queue`.
    pub(crate) line: String,
    pub(crate) body: Bytes,
}

impl Request {
    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{}: {error}", self.line))
    }
}

/// All requests that a server received, in order.
#[derive(Debug, Default)]
pub(crate) struct RequestLog(Mutex<Vec<Request>>);

impl RequestLog {
    pub(crate) fn add(&self, method: &Method, uri: &Uri, body: &Bytes) -> Request {
        let request = Request { line: format!("{method} {uri}"), body: body.clone() };
        self.0.lock().unwrap().push(request.clone());
        request
    }

    /// The requests with that line.
    pub(crate) fn of(&self, line: &str) -> Vec<Request> {
        self.0.lock().unwrap().iter().filter(|request| request.line == line).cloned().collect()
    }

    /// The lines of all requests.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().iter().map(|request| request.line.clone()).collect()
    }
}

/// Serves on loopback until the test ends. Returns the address with scheme.
pub(crate) async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// An answer as it was recorded: its status, its content type if it had one, and its body as text or JSON.
pub(crate) fn answer(recorded: &Value) -> Response {
    let body = match &recorded["body"] {
        Value::String(text) => text.clone(),
        json => json.to_string(),
    };
    let mut answer = Response::builder().status(recorded["status"].as_u64().unwrap() as u16);
    let content_type = recorded["content_type"].as_str().or(recorded["headers"]["Content-Type"].as_str());
    if let Some(content_type) = content_type {
        answer = answer.header("content-type", content_type);
    }
    if let Some(pause) = recorded["headers"]["Retry-After"].as_str() {
        answer = answer.header("retry-after", pause);
    }
    answer.body(Body::from(body)).unwrap()
}
