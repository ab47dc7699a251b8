//! The Lambda Runtime API, as a function's process uses it: serves events one by one, and receives the responses.
//!
//! Headers and paths are those of "Using the Lambda runtime API for custom runtimes" in the AWS Lambda developer guide.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::wait::TIMEOUT;

/// The X-Ray trace that every invocation belongs to.
pub const TRACE: &str = "Root=1-67891233-abcdef012345678912345678;Parent=463ac35c9f6413ad;Sampled=1";

/// The timeout from which the deadline of an invocation follows, unless a test sets another one.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);

/// The outcome of an invocation: the function's response, or the error that it reported.
pub type Outcome = Result<Value, Value>;

/// A running Runtime API for one function.
pub struct RuntimeApi {
    /// Where it listens: the value of `AWS_LAMBDA_RUNTIME_API`.
    pub address: SocketAddr,
    invocations: mpsc::UnboundedSender<(String, Value)>,
    pending: Pending,
}

/// The invocations without a response so far, by request id.
type Pending = Arc<Mutex<HashMap<String, oneshot::Sender<Outcome>>>>;

struct Api {
    next: tokio::sync::Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
    pending: Pending,
    function_timeout: Duration,
}

impl RuntimeApi {
    /// Starts it.
    pub async fn start() -> Self {
        Self::start_with(FUNCTION_TIMEOUT).await
    }

    /// Starts it for a function with that timeout.
    pub async fn start_with(function_timeout: Duration) -> Self {
        let (invocations, next) = mpsc::unbounded_channel();
        let pending = Pending::default();
        let api =
            Api { next: tokio::sync::Mutex::new(next), pending: Arc::clone(&pending), function_timeout };
        let invocation = Router::new()
            .route("/next", get(next_invocation))
            .route("/{id}/response", post(response))
            .route("/{id}/error", post(error));
        let router =
            Router::new().nest("/2018-06-01/runtime/invocation", invocation).with_state(Arc::new(api));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, invocations, pending }
    }

    /// Invokes the function, and waits for the outcome.
    pub async fn invoke(&self, event: Value) -> Outcome {
        let id = uuid::Uuid::new_v4().to_string();
        let (sender, outcome) = oneshot::channel();
        self.pending.lock().unwrap().insert(id.clone(), sender);
        self.invocations.send((id, event)).unwrap();
        tokio::time::timeout(TIMEOUT, outcome).await.expect("the function did not answer").unwrap()
    }
}

/// What Lambda sets for every function (Lambda developer guide, "Defined runtime environment variables").
pub fn lambda_variables(function: &str, runtime_api: &str) -> HashMap<&'static str, String> {
    [
        ("AWS_LAMBDA_RUNTIME_API", runtime_api),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{function}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_SESSION_TOKEN", "token"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

async fn next_invocation(State(api): State<Arc<Api>>) -> Response {
    let Some((id, event)) = api.next.lock().await.recv().await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let deadline = SystemTime::now() + api.function_timeout;
    let deadline_ms = deadline.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let headers = [
        ("lambda-runtime-aws-request-id", id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:000000000000:function:darkroom".to_owned(),
        ),
        ("lambda-runtime-trace-id", TRACE.to_owned()),
    ];
    (headers, Json(event)).into_response()
}

async fn response(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Response {
    api.complete(&id, Ok(serde_json::from_slice(&body).unwrap()))
}

async fn error(State(api): State<Arc<Api>>, Path(id): Path<String>, body: Bytes) -> Response {
    api.complete(&id, Err(serde_json::from_slice(&body).unwrap()))
}

impl Api {
    fn complete(&self, id: &str, outcome: Outcome) -> Response {
        match self.pending.lock().unwrap().remove(id).map(|waiting| waiting.send(outcome)) {
            Some(Ok(())) => (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response(),
            _ => (StatusCode::BAD_REQUEST, Json(json!({ "errorType": "InvalidRequestID" }))).into_response(),
        }
    }
}
