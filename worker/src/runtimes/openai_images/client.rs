//! The HTTP calls: bounded answers, and no generation is sent twice that the server may have begun.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{RequestBuilder, StatusCode, Url};
use shared_schema::ErrorCode;

use super::request::Request;
use super::{DEFAULT_ADDRESS, error_body};
use crate::error::TaskError;
use crate::runtimes::{RuntimeOptions, address, calls};

/// How long a call may take that only looks.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long an image may take that the server answers the address of.
const IMAGE_TIMEOUT: Duration = Duration::from_secs(300);

/// The HTTP side of one server.
pub(super) struct Client {
    http: reqwest::Client,
    /// Ends in `/v1/`; may hold a login, which reqwest turns into a header.
    root: Url,
    pub(super) max_task_bytes: u64,
}

/// What the server answered, whatever its status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

impl Client {
    /// A client of the server that the options name. Connects to nothing yet.
    pub(super) fn new(options: &RuntimeOptions) -> Result<Self, String> {
        let root = address::parse(options.api_base_url.as_deref(), DEFAULT_ADDRESS)?;
        let http = calls::build(calls::client(&root).pool_max_idle_per_host(0))?;
        Ok(Self { http, root, max_task_bytes: options.max_task_bytes })
    }

    /// Whether the server takes jobs. vLLM-Omni, SGLang and Dynamo say so at `/health`; all of them list their models once they
    /// are up.
    pub(super) async fn ready(&self) -> Result<(), TaskError> {
        let health = self.look("../health").await?;
        if !health.is_not_served() {
            return health.accepted("/health");
        }
        self.look("models").await?.accepted("/v1/models")
    }

    /// Whether there is no server, or only a proxy without one.
    pub(super) async fn is_gone(&self) -> bool {
        let Ok(url) = self.root.join("models") else { return false };
        calls::is_gone(self.http.get(url).timeout(CONTROL_TIMEOUT)).await
    }

    /// Runs a generation. Takes as long as it takes.
    ///
    /// Requests the images themselves; a server that refuses the field for it gets the request without.
    pub(super) async fn generate(&self, request: &Request) -> Result<Answer, TaskError> {
        let answer = self.post(request, true).await?;
        if !error_body::refuses_the_format(answer.status.as_u16(), &answer.body) {
            return Ok(answer);
        }
        self.post(request, false).await
    }

    /// The image at an address that the server answered: on the server itself, or nowhere.
    pub(super) async fn image(&self, address: &str, most: u64) -> Result<Bytes, TaskError> {
        let url = self.root.join(address).ok().filter(|url| url.origin() == self.root.origin());
        let Some(mut url) = url else {
            let message = "the runtime answered with the address of an image on another server, which is not fetched; \
                           it has to answer the images themselves (`b64_json`)";
            return Err(TaskError::new(ErrorCode::RuntimeBadAnswer, message));
        };
        // Of an `http` URL with a host, both can be set.
        url.set_username(self.root.username()).ok();
        url.set_password(self.root.password()).ok();
        let answer = self.send(self.http.get(url).timeout(IMAGE_TIMEOUT), most).await?;
        if !answer.status.is_success() {
            let message = format!("the runtime answers its own image with status {}", answer.status.as_u16());
            return Err(TaskError::new(ErrorCode::RuntimeBadAnswer, message));
        }
        if answer.body.is_empty() {
            let message = "the runtime answered the address of an image that is empty";
            return Err(TaskError::new(ErrorCode::RuntimeBadAnswer, message));
        }
        Ok(answer.body.into())
    }

    async fn post(&self, request: &Request, with_format: bool) -> Result<Answer, TaskError> {
        let call = request.body(self.http.post(self.url(request.endpoint)?), with_format);
        self.send(calls::traced(call), calls::max_response_bytes(self.max_task_bytes)).await
    }

    async fn look(&self, path: &str) -> Result<Answer, TaskError> {
        self.send(self.http.get(self.url(path)?).timeout(CONTROL_TIMEOUT), calls::TEXT_BYTES).await
    }

    fn url(&self, path: &str) -> Result<Url, TaskError> {
        self.root.join(path).map_err(|error| TaskError::new(ErrorCode::RuntimeUnavailable, error.to_string()))
    }

    async fn send(&self, call: RequestBuilder, most: u64) -> Result<Answer, TaskError> {
        let response = call.send().await.map_err(calls::unavailable)?;
        Ok(Answer { status: response.status(), body: calls::body(response, most).await? })
    }
}

impl Answer {
    /// Whether the server does not have the endpoint, or not yet.
    pub(super) fn is_not_served(&self) -> bool {
        error_body::is_not_routed(self.status.as_u16(), &self.body)
    }

    /// The answer of a call that is not about a task: without success, the server cannot be worked with now.
    fn accepted(self, path: &str) -> Result<(), TaskError> {
        if self.status.is_success() {
            return Ok(());
        }
        let status = self.status.as_u16();
        let message = if matches!(status, 401 | 403) {
            "the runtime refuses the worker's login; API_BASE_URL must hold it as http://user:password@host"
                .to_owned()
        } else {
            format!("`GET {path}` is answered with status {status}")
        };
        Err(TaskError::new(ErrorCode::RuntimeUnavailable, message))
    }
}
