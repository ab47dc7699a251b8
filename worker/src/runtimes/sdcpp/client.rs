//! The HTTP calls: responses are bounded, and no request is retried.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use shared_schema::ErrorCode;
use url::Url;

use super::DEFAULT_ADDRESS;
use super::capabilities::Capabilities;
use super::response::{self, JobState};
use crate::error::TaskError;
use crate::runtimes::{RuntimeOptions, address, calls};

/// How long a call may take. No call waits for a run: a submission is answered once its images are decoded.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The HTTP side of one server.
pub(super) struct Client {
    http: reqwest::Client,
    /// Ends in `/`; may hold a login, which reqwest turns into a header.
    root: Url,
    max_answer_bytes: u64,
}

/// A response, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// The response to a submission.
#[derive(Debug)]
pub(super) enum Submission {
    /// A job was created, with that id.
    Accepted(String),
    /// Its queue is full.
    QueueFull,
}

impl Client {
    /// A client of the server that the options name. Connects to nothing yet.
    pub(super) fn new(options: &RuntimeOptions) -> Result<Self, String> {
        let root = address::parse(options.api_base_url.as_deref(), DEFAULT_ADDRESS)?;
        // The server closes each connection after its response.
        let http = calls::build(calls::client(&root).pool_max_idle_per_host(0))?;
        let max_answer_bytes = calls::max_response_bytes(options.max_task_bytes);
        Ok(Self { http, root, max_answer_bytes })
    }

    /// What the server has and allows.
    pub(super) async fn capabilities(&self) -> Result<Capabilities, TaskError> {
        let answer = self.send(self.http.get(self.url("capabilities"))).await?;
        if answer.status != StatusCode::OK {
            return Err(unexpected("GET /sdcpp/v1/capabilities", answer.status));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| response::bad_answer("its capabilities are not as its API describes them"))
    }

    /// Submits a request.
    pub(super) async fn submit(&self, body: &Value) -> Result<Submission, TaskError> {
        let request = self.http.post(self.url("img_gen")).header(CONTENT_TYPE, "application/json");
        let answer = self.send(calls::traced(request.body(body.to_string()))).await?;
        match answer.status {
            StatusCode::ACCEPTED => response::job_id(&answer.body).map(Submission::Accepted),
            StatusCode::TOO_MANY_REQUESTS => Ok(Submission::QueueFull),
            StatusCode::NOT_FOUND | StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE => {
                Err(unexpected("POST /sdcpp/v1/img_gen", answer.status))
            }
            status => Err(response::refusal(status, &answer.body)),
        }
    }

    /// The state of a job.
    pub(super) async fn job(&self, id: &str) -> Result<JobState, TaskError> {
        let answer = self.send(self.http.get(self.url(&format!("jobs/{id}")))).await?;
        match answer.status {
            StatusCode::OK => response::read(&answer.body),
            StatusCode::NOT_FOUND => Ok(JobState::Unknown),
            StatusCode::GONE => Ok(JobState::Expired),
            status => Err(unexpected("GET /sdcpp/v1/jobs", status)),
        }
    }

    /// Cancels a job that waits. `None` when the server works on it, and cannot interrupt it.
    pub(super) async fn cancel(&self, id: &str) -> Result<Option<JobState>, TaskError> {
        let answer = self.send(self.http.post(self.url(&format!("jobs/{id}/cancel")))).await?;
        match answer.status {
            StatusCode::OK => response::read(&answer.body).map(Some),
            StatusCode::CONFLICT => Ok(None),
            StatusCode::NOT_FOUND => Ok(Some(JobState::Unknown)),
            StatusCode::GONE => Ok(Some(JobState::Expired)),
            status => Err(unexpected("POST /sdcpp/v1/jobs/…/cancel", status)),
        }
    }

    /// Whether no server answers: connection refused, or a proxy without a server behind it.
    pub(super) async fn is_gone(&self) -> bool {
        calls::is_gone(self.http.get(self.url("capabilities")).timeout(CALL_TIMEOUT)).await
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.root)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, TaskError> {
        let response = request.timeout(CALL_TIMEOUT).send().await.map_err(calls::unavailable)?;
        Ok(Answer { status: response.status(), body: calls::body(response, self.max_answer_bytes).await? })
    }
}

/// Whether a text is the id of a job (`[A-Za-z0-9_-]+` in the server's routes), and so no other path.
pub(super) fn is_id(text: &str) -> bool {
    (1..=200).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// A response that is not about the task.
fn unexpected(call: &str, status: StatusCode) -> TaskError {
    let message = format!("the runtime answers `{call}` with status {}", status.as_u16());
    TaskError::new(ErrorCode::RuntimeUnavailable, message)
}
