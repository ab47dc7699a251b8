//! ComfyUI's HTTP interface, one method per call: answers are bounded in time and size, and not interpreted further.
//!
//! No call carries `Origin` or `Sec-Fetch-*`: ComfyUI answers 403 to those that do not match its host.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared_schema::{ErrorCode, python_json};
use url::Url;
use uuid::Uuid;

use super::budget::TransferBudget;
use super::capabilities::{Capabilities, Known};
use super::history::{Entry, Past};
use super::items::FileRef;
use super::queue::{JobState, Queue, Queued};
use crate::error::TaskError;
use crate::http;
use crate::inputs::Input;
use crate::runtimes::calls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For calls that ComfyUI answers from memory. While it loads a model its event loop may freeze for seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// For queueing a workflow, which ComfyUI validates first.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(20);
/// For moving a file.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(120);
/// What is allocated at once for an announced answer, in bytes: larger than most images. More only as it arrives.
const MAX_ALLOCATE: usize = 64 << 20;
/// Shorter than any keep-alive of the server, so that a job is not posted on a connection that is just being closed.
const KEEP_IDLE_FOR: Duration = Duration::from_secs(20);

/// Why a call yielded nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CallError {
    /// There was no connection, so nothing was sent.
    #[error("the runtime cannot be reached")]
    Unreachable,
    /// The call may have been received.
    #[error("the runtime did not answer in time")]
    Silent,
    /// The call may have been received.
    #[error("the connection to the runtime broke")]
    Broken,
    #[error("the runtime answered with status {0}")]
    Status(StatusCode),
    #[error("the runtime's answer is not of the expected form")]
    Unreadable,
    #[error("the runtime's answers are larger than the {0} bytes that the results of a task may have")]
    TooLarge(u64),
}

impl From<CallError> for TaskError {
    fn from(error: CallError) -> Self {
        let code = match error {
            CallError::Unreachable | CallError::Silent | CallError::Broken => ErrorCode::RuntimeUnavailable,
            CallError::Status(status) if status.is_server_error() => ErrorCode::RuntimeUnavailable,
            CallError::Status(_) | CallError::Unreadable => ErrorCode::RuntimeBadAnswer,
            // The same workflow would yield as much again.
            CallError::TooLarge(_) => ErrorCode::RuntimeFailed,
        };
        TaskError::new(code, error.to_string())
    }
}

impl From<reqwest::Error> for CallError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_connect() {
            Self::Unreachable
        } else if error.is_timeout() {
            Self::Silent
        } else {
            Self::Broken
        }
    }
}

/// An answer of any status.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Answer {
    /// The body, whatever odd values it holds: they may be those of another job than the one that matters.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, CallError> {
        python_json::from_slice(&self.body).map_err(|_| CallError::Unreadable)
    }

    fn accepted(self) -> Result<Self, CallError> {
        if self.status.is_success() { Ok(self) } else { Err(CallError::Status(self.status)) }
    }
}

/// Where an upload was stored.
#[derive(Debug, Deserialize)]
pub(super) struct Uploaded {
    pub(super) name: String,
    pub(super) subfolder: String,
}

/// What came of the wish for a file.
#[derive(Debug)]
pub(super) enum Viewed {
    File(Bytes),
    /// ComfyUI does not have it.
    Missing,
    /// It does not lie in a folder that ComfyUI gives files from.
    Outside,
}

/// A client of one ComfyUI.
#[derive(Debug, Clone)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    /// The most bytes that one answer, and all results of one task, may have.
    pub(super) max_bytes: u64,
    capabilities: Arc<Capabilities>,
}

impl Client {
    pub(super) fn new(base: Url, max_bytes: u64) -> Result<Self, String> {
        let http = http::plain_client()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(KEEP_IDLE_FOR)
            .build()
            .map_err(|error| format!("no HTTP client for API_BASE_URL: {error}"))?;
        Ok(Self { http, base, max_bytes, capabilities: Arc::default() })
    }

    /// The address of the WebSocket for the events of this client id.
    pub(super) fn socket_url(&self, client_id: &str) -> String {
        let mut url = self.url("ws");
        url.query_pairs_mut().append_pair("clientId", client_id);
        url.as_str().replacen("http://", "ws://", 1)
    }

    pub(super) async fn system_stats(&self) -> Result<(), CallError> {
        self.get("system_stats").await.map(drop)
    }

    /// Asks the server what it can do. To cancel a job that it does not know is no error where it can be done.
    pub(super) async fn probe_capabilities(&self) -> Result<(), CallError> {
        let stats: Value = self.get("system_stats").await?.json()?;
        let unknown = Uuid::new_v4().to_string();
        let answer = self.send(self.http.post(self.cancel_url(&unknown)).timeout(ANSWER_TIMEOUT)).await?;
        let cancels = answer.status.is_success()
            && answer.json::<Value>().is_ok_and(|answer| answer["cancelled"].is_boolean());
        let known = Known::of(&stats, cancels);
        let version = stats["system"]["comfyui_version"].as_str().unwrap_or("unknown");
        tracing::debug!(version, ?known, "the runtime's capabilities");
        self.capabilities.learn(known);
        Ok(())
    }

    /// What the server can do, as far as it has been asked.
    pub(super) fn capabilities(&self) -> Known {
        self.capabilities.known()
    }

    /// How many jobs wait or run: the cheap alternative to [`Client::queue`], whose answer holds whole workflows.
    pub(super) async fn queue_length(&self) -> Result<u64, CallError> {
        let answer: Value = self.get("prompt").await?.json()?;
        answer["exec_info"]["queue_remaining"].as_u64().ok_or(CallError::Unreadable)
    }

    pub(super) async fn queue(&self) -> Result<Queue, CallError> {
        self.get("queue").await?.json()
    }

    /// Looks for a job in the queue, and if it is not there in the history, which has a job as soon as it leaves the queue.
    pub(super) async fn find(&self, prompt_id: &str) -> Result<JobState, CallError> {
        match self.queue().await.map(|queue| queue.state_of(prompt_id)) {
            unknown @ (Ok(JobState::Unknown) | Err(_)) => {
                self.entry(prompt_id).await?.map_or(unknown, |entry| Ok(JobState::Finished(entry)))
            }
            found => found,
        }
    }

    /// The same for a job whose end was reported, which is mostly in the history.
    pub(super) async fn find_finished(&self, prompt_id: &str) -> Result<JobState, CallError> {
        match self.entry(prompt_id).await? {
            Some(entry) => Ok(JobState::Finished(entry)),
            None => self.find(prompt_id).await,
        }
    }

    /// The history entry of a job.
    async fn entry(&self, prompt_id: &str) -> Result<Option<Entry>, CallError> {
        let mut history: HashMap<String, Entry> = self.get(&format!("history/{prompt_id}")).await?.json()?;
        Ok(history.remove(prompt_id))
    }

    /// Uploads one input under `name`. The answer has its final name: an existing name yields another one.
    pub(super) async fn upload(
        &self,
        input: &Input,
        name: String,
        folder: &str,
    ) -> Result<Uploaded, CallError> {
        let size = input.bytes.len() as u64;
        let file = Part::stream_with_length(input.bytes.clone(), size).file_name(name);
        let file = file.mime_str(input.content_type).map_err(|_| CallError::Unreadable)?;
        let form = Form::new()
            .part("image", file)
            .text("subfolder", folder.to_owned())
            .text("type", "input")
            .text("overwrite", "false");
        let request = self.http.post(self.url("upload/image")).multipart(form).timeout(TRANSFER_TIMEOUT);
        self.send(request).await?.accepted()?.json()
    }

    /// Queues a workflow; every status is an answer.
    pub(super) async fn submit(&self, body: &Value) -> Result<Answer, CallError> {
        let request = self.http.post(self.url("prompt")).json(body).timeout(QUEUE_TIMEOUT);
        self.send(calls::traced(request)).await
    }

    /// Fetches a result, whose bytes are taken from the budget.
    pub(super) async fn view(&self, file: &FileRef, budget: &TransferBudget) -> Result<Viewed, CallError> {
        let mut url = self.url("view");
        url.query_pairs_mut()
            .append_pair("filename", &file.filename)
            .append_pair("subfolder", &file.subfolder)
            .append_pair("type", &file.kind);
        self.viewed(url, budget).await
    }

    /// Fetches an image from the cache of the extension comfyui-tooling-nodes (`ETN_SaveImageCache`).
    pub(super) async fn cached_image(&self, id: &str, budget: &TransferBudget) -> Result<Viewed, CallError> {
        self.viewed(self.url(&format!("api/etn/image/{id}")), budget).await
    }

    async fn viewed(&self, url: Url, budget: &TransferBudget) -> Result<Viewed, CallError> {
        let answer = self.send_within(self.http.get(url).timeout(TRANSFER_TIMEOUT), budget).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(Viewed::Missing),
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => Ok(Viewed::Outside),
            _ => Ok(Viewed::File(answer.accepted()?.body)),
        }
    }

    /// The owners of the jobs that finished last, at most that many, by the ids of the jobs.
    pub(super) async fn recently_finished(&self, max: usize) -> Result<HashMap<String, Past>, CallError> {
        let mut url = self.url("history");
        url.query_pairs_mut().append_pair("max_items", &max.to_string());
        self.send(self.http.get(url).timeout(ANSWER_TIMEOUT)).await?.accepted()?.json()
    }

    /// Takes a job out of the queue, or interrupts it if it runs.
    pub(super) async fn cancel(&self, job: Queued<'_>) -> Result<(), CallError> {
        if self.capabilities().cancels_by_id {
            let request = self.http.post(self.cancel_url(job.prompt_id)).timeout(ANSWER_TIMEOUT);
            self.send(request).await?.accepted().map(drop)
        } else if job.runs {
            self.interrupt(job.prompt_id).await
        } else {
            self.delete_pending(job.prompt_id).await
        }
    }

    /// Takes a job out of the queue; one that runs is not touched.
    async fn delete_pending(&self, prompt_id: &str) -> Result<(), CallError> {
        self.post("queue", &json!({ "delete": [prompt_id] })).await
    }

    /// Interrupts a job if it is the one that runs. Servers of 2025 interrupt whatever runs.
    async fn interrupt(&self, prompt_id: &str) -> Result<(), CallError> {
        self.post("interrupt", &json!({ "prompt_id": prompt_id })).await
    }

    /// Takes finished jobs, whole workflows and all, out of the history. No call deletes the files of a job: that is done in
    /// the scratch folder, if the worker has it.
    pub(super) async fn forget(&self, prompt_ids: &[&String]) -> Result<(), CallError> {
        self.post("history", &json!({ "delete": prompt_ids })).await
    }

    /// Makes a folder in the output folder, by a small file.
    pub(super) async fn make_output_folder(&self, folder: &str) -> Result<(), CallError> {
        let file = Part::bytes(b"made beforehand".as_slice()).file_name("folder.txt");
        let form = Form::new()
            .part("image", file)
            .text("subfolder", folder.to_owned())
            .text("type", "output")
            .text("overwrite", "true");
        let request = self.http.post(self.url("upload/image")).multipart(form).timeout(ANSWER_TIMEOUT);
        self.send(request).await?.accepted().map(drop)
    }

    /// Unloads models and drops the cache of node results, once the running job has finished. Best effort.
    pub(super) async fn free_memory(&self) {
        if let Err(error) = self.post("free", &json!({ "unload_models": true, "free_memory": true })).await {
            tracing::debug!(%error, "asking the runtime to free memory failed");
        }
    }

    async fn get(&self, path: &str) -> Result<Answer, CallError> {
        self.send(self.http.get(self.url(path)).timeout(ANSWER_TIMEOUT)).await?.accepted()
    }

    async fn post(&self, path: &str, body: &Value) -> Result<(), CallError> {
        self.send(self.http.post(self.url(path)).json(body).timeout(ANSWER_TIMEOUT))
            .await?
            .accepted()
            .map(drop)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, CallError> {
        self.send_within(request, &TransferBudget::new(self.max_bytes)).await
    }

    async fn send_within(
        &self,
        request: RequestBuilder,
        budget: &TransferBudget,
    ) -> Result<Answer, CallError> {
        let mut response = request.send().await?;
        let announced = response.content_length().unwrap_or_default();
        let announced = usize::try_from(announced).map_err(|_| budget.exceeded())?;
        if announced > budget.left() {
            return Err(budget.exceeded());
        }
        let mut body = BytesMut::with_capacity(announced.min(MAX_ALLOCATE));
        let mut taken = budget.take(0)?;
        while let Some(chunk) = response.chunk().await? {
            taken.merge(budget.take(chunk.len())?);
            body.extend_from_slice(&chunk);
        }
        taken.forget();
        Ok(Answer { status: response.status(), body: body.freeze() })
    }

    /// Only below `/api`, other than the rest.
    fn cancel_url(&self, prompt_id: &str) -> Url {
        self.url(&format!("api/jobs/{prompt_id}/cancel"))
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        url
    }
}
