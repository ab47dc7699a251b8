//! One attempt at a task: upload → rewrite → queue → follow → collect → clean up.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use serde_json::{Value, json};
use shared_schema::ErrorCode;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::client::{Answer, CallError, Client, Whereabouts};
use super::events::Events;
use super::follow::{Finished, follow};
use super::outputs::{self, FileRef, Source};
use super::workflow::{self, Replacement};
use super::{rejection, verdict};
use crate::error::TaskError;
use crate::inputs::Input;
use crate::runtimes::{Job, OutputFile, RunOutput};

/// How long to wait before something is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long to make sure that a job which is not wanted any more has left the runtime.
const WITHDRAW_WITHIN: Duration = Duration::from_secs(10);

/// Ids and place of one attempt, all of them new, so that nothing is taken for that of another one.
pub(super) struct Attempt {
    client: Client,
    /// A UUID, which ComfyUI insists on. It is never posted twice: ComfyUI would run the job twice.
    prompt_id: String,
    /// Sent with every job: without it, ComfyUI may leave the outputs of cached nodes out of the history.
    client_id: String,
    /// Where inputs and results lie. No other caller can guess it.
    folder: String,
    /// Whether the runtime may have the job in its queue.
    queued: AtomicBool,
}

impl Attempt {
    pub(super) fn new(client: Client) -> Self {
        let unique = || Uuid::new_v4().to_string();
        Self {
            client,
            prompt_id: unique(),
            client_id: unique(),
            folder: format!("darkroom/{}", unique()),
            queued: AtomicBool::new(false),
        }
    }

    /// The whole path, until `job.stop` is cancelled.
    pub(super) async fn run(&self, job: &Job) -> Result<RunOutput, TaskError> {
        let uploads = unless_stopped(&job.stop, self.upload(&job.inputs)).await?;
        let workflow = workflow::prepare(&job.task.content, uploads, &self.folder)?;
        let mut events = unless_stopped(&job.stop, async { Ok(self.listen(&workflow).await) }).await?;
        self.queue(&workflow, &job.stop).await?;
        tracing::debug!(prompt_id = self.prompt_id, "workflow queued");
        let finished = unless_stopped(&job.stop, follow(&self.client, &self.prompt_id, &mut events)).await?;
        self.queued.store(false, Ordering::Relaxed);
        self.judge(&finished.entry).await?;
        unless_stopped(&job.stop, self.collect(finished, &workflow)).await
    }

    async fn upload(&self, inputs: &[Input]) -> Result<Vec<Replacement>, TaskError> {
        let mut replacements = Vec::with_capacity(inputs.len());
        for (n, input) in (1..).zip(inputs) {
            // Plain ASCII: ComfyUI takes an encoded name literally.
            let name = format!("input-{n}.{}", input.extension);
            let uploaded = self.client.upload(input, name, &self.folder).await.map_err(|error| {
                let refused = match error {
                    CallError::Status(StatusCode::PAYLOAD_TOO_LARGE) => {
                        let message = "the input is larger than the runtime takes (`--max-upload-size`)";
                        TaskError::new(ErrorCode::InputTooLarge, message)
                    }
                    other => other.into(),
                };
                refused.at_field(format!("/content{}", input.pointer))
            })?;
            let name = format!("{}/{}", uploaded.subfolder, uploaded.name);
            replacements.push(Replacement { pointer: input.pointer.clone(), name });
        }
        Ok(replacements)
    }

    async fn listen(&self, workflow: &Value) -> Events {
        let url = self.client.socket_url(&self.client_id);
        Events::open(url, &self.prompt_id, workflow::socket_nodes(workflow), self.client.most_bytes).await
    }

    /// Posts the workflow. A stop waits for the answer: a job that may or may not be queued is hard to withdraw.
    async fn queue(&self, workflow: &Value, stop: &CancellationToken) -> Result<(), TaskError> {
        // No `number`: two equal ones would kill ComfyUI's worker thread. No `extra_data`: parts of it break calls.
        let body = json!({ "prompt": workflow, "client_id": self.client_id, "prompt_id": self.prompt_id });
        self.queued.store(true, Ordering::Relaxed);
        match self.client.submit(&body).await {
            Ok(answer) => self.read_answer(&answer).await,
            Err(CallError::Unreachable) => {
                self.queued.store(false, Ordering::Relaxed);
                Err(CallError::Unreachable.into())
            }
            Err(lost) => unless_stopped(stop, self.look_for_queued(lost)).await,
        }
    }

    async fn read_answer(&self, answer: &Answer) -> Result<(), TaskError> {
        let rejected = |message: &str| TaskError::new(ErrorCode::RuntimeRejected, message);
        match answer.status {
            StatusCode::OK => {
                let body: Value = answer.json()?;
                let given = body["prompt_id"].as_str().ok_or(CallError::Unreadable)?;
                if given != self.prompt_id {
                    // Nobody would follow the job under its other id.
                    self.client.delete_pending(given).await?;
                    self.client.interrupt(given).await?;
                    let message = "the runtime does not take its callers' ids; a newer ComfyUI is needed";
                    return Err(TaskError::new(ErrorCode::RuntimeBadAnswer, message));
                }
                if rejection::has_node_errors(&body) {
                    return Err(rejection::explain(&body));
                }
                Ok(())
            }
            StatusCode::BAD_REQUEST => Err(rejection::explain(&answer.json()?)),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Err(rejected("the workflow is larger than the runtime takes (`--max-upload-size`)"))
            }
            // ComfyUI stumbles over a malformed workflow, and would again. A server that is broken answers nothing else.
            StatusCode::INTERNAL_SERVER_ERROR if self.client.queue().await.is_ok() => {
                Err(rejected("the runtime cannot read the workflow: it is not in API format"))
            }
            status => Err(CallError::Status(status).into()),
        }
    }

    /// After an answer that did not arrive: the job may be queued nevertheless.
    async fn look_for_queued(&self, lost: CallError) -> Result<(), TaskError> {
        for _ in 0..3 {
            match self.client.find(&self.prompt_id).await {
                Ok(Whereabouts::Nowhere) | Err(_) => sleep(TRY_AGAIN_AFTER).await,
                Ok(_) => return Ok(()),
            }
        }
        Err(lost.into())
    }

    async fn judge(&self, entry: &Value) -> Result<(), TaskError> {
        let verdict = verdict::judge(entry);
        if verdict.as_ref().is_err_and(|error| error.code == ErrorCode::OutOfMemory) {
            self.free_memory().await;
        }
        verdict
    }

    async fn collect(&self, finished: Finished, workflow: &Value) -> Result<RunOutput, TaskError> {
        let outputs = outputs::collect(&finished.entry, workflow, finished.images);
        if outputs.is_empty() {
            let message = "the workflow ran, but yielded neither a file nor a text";
            return Err(TaskError::new(ErrorCode::NoOutput, message));
        }
        let mut left = self.client.most_bytes;
        let mut files = Vec::with_capacity(outputs.files.len());
        for source in outputs.files {
            let file = match source {
                Source::Received(bytes) => OutputFile { bytes, name: None },
                Source::Stored(file) => {
                    OutputFile { bytes: self.fetch(&file, left).await?, name: Some(file.filename) }
                }
            };
            left = left.checked_sub(file.bytes.len() as u64).ok_or(CallError::TooLarge(left))?;
            files.push(file);
        }
        let report = json!({ "code": 200, "prompt_id": self.prompt_id, "outputs": outputs.report });
        Ok(RunOutput { files, report })
    }

    /// Fetches one result. The GPU's work is done, so a broken connection is tried again.
    async fn fetch(&self, file: &FileRef, most_bytes: u64) -> Result<Bytes, TaskError> {
        let mut tries = 1;
        loop {
            match self.client.view(file, most_bytes).await {
                Ok(Some(bytes)) => return Ok(bytes),
                Ok(None) => {
                    // A file that was deleted after a node's run lives on in the cache, which names it again and again.
                    // Without the cache, the next attempt runs the node anew; so this is worth a retry, not `no_output`.
                    self.free_memory().await;
                    let message = "the runtime named a result that it does not have any more";
                    return Err(TaskError::new(ErrorCode::RuntimeBadAnswer, message));
                }
                Err(CallError::Unreachable | CallError::Broken) if tries < 3 => sleep(TRY_AGAIN_AFTER).await,
                Err(error) => return Err(error.into()),
            }
            tries += 1;
        }
    }

    async fn free_memory(&self) {
        if let Err(error) = self.client.free().await {
            tracing::debug!(%error, "the runtime was not asked to free memory");
        }
    }

    /// Takes the job out of the runtime, wherever it is, and makes sure of it.
    ///
    /// The interrupt is repeated, since one that comes between a job's leaving the queue and its start is lost. It is sent
    /// only while the job is seen to run, since older servers interrupt whatever runs.
    pub(super) async fn withdraw(&self) {
        if !self.queued.load(Ordering::Relaxed) {
            return;
        }
        let gone = async {
            loop {
                match self.try_to_withdraw().await {
                    Ok(true) | Err(CallError::Unreachable) => break,
                    Ok(false) | Err(_) => sleep(TRY_AGAIN_AFTER / 4).await,
                }
            }
        };
        match timeout(WITHDRAW_WITHIN, gone).await {
            Ok(()) => self.queued.store(false, Ordering::Relaxed),
            Err(_) => tracing::warn!(
                prompt_id = self.prompt_id,
                "the runtime still works on a job that was interrupted"
            ),
        }
    }

    /// Whether the job is gone.
    async fn try_to_withdraw(&self) -> Result<bool, CallError> {
        self.client.delete_pending(&self.prompt_id).await?;
        match self.client.find(&self.prompt_id).await? {
            Whereabouts::Finished(_) | Whereabouts::Nowhere => Ok(true),
            Whereabouts::Pending => Ok(false),
            Whereabouts::Running => self.client.interrupt(&self.prompt_id).await.map(|()| false),
        }
    }

    /// Leaves nothing in the runtime that ComfyUI lets a client remove: the job and its history entry.
    ///
    /// ComfyUI has no call that deletes a file. Inputs and results stay under `darkroom/` in its input and output folders,
    /// so these have to be ephemeral (an `emptyDir`) or cleaned by whoever owns the volume.
    pub(super) async fn clean_up(&self) {
        self.withdraw().await;
        if let Err(error) = self.client.forget(&self.prompt_id).await {
            tracing::debug!(%error, "the runtime's history entry was not deleted");
        }
    }
}

async fn unless_stopped<T>(
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, TaskError>>,
) -> Result<T, TaskError> {
    match stop.run_until_cancelled(work).await {
        Some(result) => result,
        None => Err(TaskError::new(ErrorCode::Interrupted, "the run was stopped")),
    }
}
