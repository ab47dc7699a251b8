//! The HTTP calls: bounded answers, nothing ever sent twice. Whatever changes or generates something has a connection of its own.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Body, RequestBuilder, StatusCode};
use serde_json::Value;
use shared_schema::ErrorCode;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::{DEFAULT_ADDRESS, error_body};
use crate::error::TaskError;
use crate::runtimes::interrupt::interrupted;
use crate::runtimes::{RuntimeOptions, address, calls};

/// How long the connection of read-only calls is kept: servers run on uvicorn, which closes an idle one after 5 s.
const KEEP_IDLE_FOR: Duration = Duration::from_secs(4);

/// How long a read-only call may take.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long one call to interrupt may take; it only sets a flag.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a call is made again while the server answers that it gets too many: SD.Next counts 300 in a minute for each
/// client and path, and a generation as five.
const BUSY_TIMEOUT: Duration = Duration::from_secs(120);

/// The pause before such a call is made again when the server names none, and the longest that it may name.
const BUSY_PAUSE: Duration = Duration::from_secs(5);
const MAX_BUSY_PAUSE: Duration = Duration::from_secs(60);

/// And at the least: a server that asks for no pause is still busy.
const MIN_BUSY_PAUSE: Duration = Duration::from_millis(500);

/// The HTTP side of one SD WebUI server.
pub(super) struct Client {
    http: reqwest::Client,
    /// For read-only calls.
    looking: reqwest::Client,
    /// Ends in `/`; may hold a login, which reqwest turns into a header.
    root: String,
    max_answer_bytes: u64,
}

/// What the server answered, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// An answer, and the pause that the server asks for.
type Sent = (Answer, Option<Duration>);

impl Client {
    /// A client of the server that the options name. Connects to nothing yet.
    pub(super) fn new(options: &RuntimeOptions) -> Result<Self, String> {
        let root = address::parse(options.api_base_url.as_deref(), DEFAULT_ADDRESS)?;
        // After a status 500 some servers close a connection that they had promised to keep.
        let http = calls::build(calls::client(&root).pool_max_idle_per_host(0))?;
        let looking = calls::client(&root).pool_max_idle_per_host(1).pool_idle_timeout(KEEP_IDLE_FOR);
        let looking = calls::build(looking)?;
        let max_answer_bytes = calls::max_response_bytes(options.max_task_bytes);
        Ok(Self { http, looking, root: root.into(), max_answer_bytes })
    }

    /// Looks something up. The answer must be JSON.
    pub(super) async fn get(&self, path: &str) -> Result<Value, TaskError> {
        let request = self.looking.get(self.url(path)).timeout(CONTROL_TIMEOUT);
        self.send(request).await?.accepted("GET", path)?.json(path)
    }

    /// Looks something up that not every server has: `None` where it is not served. Made once, however busy the server is.
    pub(super) async fn get_if_served(&self, path: &str) -> Result<Option<Value>, TaskError> {
        let request = self.looking.get(self.url(path)).timeout(CONTROL_TIMEOUT);
        let (answer, _) = self.send_once(request).await?;
        if answer.is_not_served() {
            return Ok(None);
        }
        answer.accepted("GET", path)?.json(path).map(Some)
    }

    /// Whether there is no server, or only a proxy without one.
    pub(super) async fn is_gone(&self, path: &str) -> bool {
        calls::is_gone(self.http.get(self.url(path)).timeout(CONTROL_TIMEOUT)).await
    }

    /// Gives a command without arguments. Servers answer with 200 and anything, or with 204: only success counts. Loading
    /// a model takes as long as it takes. `false` where the server does not have the command.
    pub(super) async fn command(&self, path: &str) -> Result<bool, TaskError> {
        let answer = self.send(self.post(path, "{}")).await?;
        if answer.is_not_served() {
            return Ok(false);
        }
        answer.accepted("POST", path).map(|_| true)
    }

    /// Interrupts whatever the server is generating.
    pub(super) async fn interrupt(&self) -> Result<(), TaskError> {
        let request = self.post("interrupt", "{}").timeout(INTERRUPT_TIMEOUT);
        self.send_once(request).await?.0.accepted("POST", "interrupt").map(drop)
    }

    /// Sets options. Takes as long as loading a model takes, if one of them is the model.
    pub(super) async fn set_options(&self, options: &Value) -> Result<Answer, TaskError> {
        self.send(self.post("options", options.to_string())).await
    }

    /// Sets options that the server only notes, which takes no time.
    pub(super) async fn note_options(&self, options: &Value) -> Result<Answer, TaskError> {
        self.send(self.post("options", options.to_string()).timeout(CONTROL_TIMEOUT)).await
    }

    /// Runs a generation. Takes as long as it takes: `stop` ends it only before the server has taken it.
    pub(super) async fn generate(
        &self,
        path: &str,
        body: Bytes,
        stop: &CancellationToken,
    ) -> Result<Answer, TaskError> {
        self.send_until(calls::traced(self.post(path, body)), stop).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    fn post(&self, path: &str, body: impl Into<Body>) -> RequestBuilder {
        self.http.post(self.url(path)).header(CONTENT_TYPE, "application/json").body(body)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, TaskError> {
        self.send_until(request, &CancellationToken::new()).await
    }

    /// Sends the request, again while the server answers 429: that one was not processed.
    async fn send_until(
        &self,
        request: RequestBuilder,
        stop: &CancellationToken,
    ) -> Result<Answer, TaskError> {
        let until = Instant::now() + BUSY_TIMEOUT;
        let mut next = Some(request);
        loop {
            let Some(request) = next else { return Err(interrupted()) };
            next = request.try_clone();
            let (answer, pause) = self.send_once(request).await?;
            let pause = pause.unwrap_or(BUSY_PAUSE).clamp(MIN_BUSY_PAUSE, MAX_BUSY_PAUSE);
            let is_over = next.is_none() || Instant::now() + pause > until;
            if answer.status != StatusCode::TOO_MANY_REQUESTS || is_over {
                return Ok(answer);
            }
            tracing::debug!(pause_ms = pause.as_millis() as u64, "the runtime is rate limiting, retrying");
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return Err(interrupted());
            }
        }
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Sent, TaskError> {
        let response = request.send().await.map_err(calls::unavailable)?;
        let pause = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let status = response.status();
        let body = calls::body(response, self.max_answer_bytes).await?;
        Ok((Answer { status, body }, pause.map(Duration::from_secs)))
    }
}

impl Answer {
    /// The answer of a call that is not about a task: without success, the server cannot be worked with now.
    pub(super) fn accepted(self, method: &str, path: &str) -> Result<Self, TaskError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        let cause = error_body::from_answer(self.status.as_u16(), &self.body).message;
        let message = format!("`{method} /sdapi/v1/{path}`: {cause}");
        Err(TaskError::new(ErrorCode::RuntimeUnavailable, message))
    }

    /// Whether the server does not have the endpoint, or not yet.
    pub(super) fn is_not_served(&self) -> bool {
        error_body::is_not_routed(self.status.as_u16(), &self.body)
    }

    fn json(&self, path: &str) -> Result<Value, TaskError> {
        serde_json::from_slice(&self.body).map_err(|_| {
            let message = format!("the runtime's answer to `{path}` is not JSON");
            TaskError::new(ErrorCode::RuntimeBadAnswer, message)
        })
    }
}
