//! Lambda's Runtime API as far as a function that succeeds needs it: it asks for the next event and posts its answer.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use integration_tests::wait;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long a function may take for one event.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running Runtime API on loopback.
pub(crate) struct RuntimeApi {
    address: SocketAddr,
    events: UnboundedSender<&'static str>,
    answers: UnboundedReceiver<Answer>,
}

/// What a function answered.
pub(crate) struct Answer {
    /// When all of it had come.
    pub(crate) at: Instant,
    /// The answer, an API Gateway response.
    pub(crate) body: Bytes,
}

struct Sides {
    events: Mutex<UnboundedReceiver<&'static str>>,
    answers: UnboundedSender<Answer>,
}

impl RuntimeApi {
    pub(crate) async fn start() -> Result<Self> {
        let (events, waiting) = unbounded_channel();
        let (answered, answers) = unbounded_channel();
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .with_state(Arc::new(Sides { events: Mutex::new(waiting), answers: answered }));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, events, answers })
    }

    /// What `AWS_LAMBDA_RUNTIME_API` is to hold.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps an event for the next function that asks.
    pub(crate) fn submit(&self, event: &'static str) {
        // The receiver lives as long as the server, and that as long as the process.
        let _ = self.events.send(event);
    }

    /// Waits for the next answer.
    pub(crate) async fn answered(&mut self) -> Result<Answer> {
        let answer = tokio::time::timeout(wait::PATIENCE, self.answers.recv()).await;
        answer.context("the function does not answer")?.context("the Runtime API has ended")
    }
}

async fn next(State(sides): State<Arc<Sides>>) -> Result<impl IntoResponse, StatusCode> {
    let event = sides.events.lock().await.recv().await.ok_or(StatusCode::GONE)?;
    let deadline = (SystemTime::now() + DEADLINE).duration_since(SystemTime::UNIX_EPOCH);
    let deadline = deadline.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?.as_millis().to_string();
    let headers = [
        ("Lambda-Runtime-Aws-Request-Id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("Lambda-Runtime-Deadline-Ms", deadline),
        (
            "Lambda-Runtime-Invoked-Function-Arn",
            "arn:aws:lambda:us-east-1:123456789012:function:front-door".to_owned(),
        ),
    ];
    Ok((headers, event))
}

async fn response(State(sides): State<Arc<Sides>>, body: Bytes) -> StatusCode {
    let _ = sides.answers.send(Answer { at: Instant::now(), body });
    StatusCode::ACCEPTED
}
