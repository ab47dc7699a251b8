//! One attempt at a task: upload → rewrite → queue → follow → collect.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use shared_schema::ErrorCode;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::budget::TransferBudget;
use super::cancel::cancel_run;
use super::client::{Answer, CallError, Client};
use super::events::Events;
use super::expansion::Makers;
use super::fetch::{Fetched, fetch, lost};
use super::follow::{Finished, Follower, results_lost};
use super::frames::Reader;
use super::handle::Handle;
use super::outputs::{self, Outputs};
use super::queue::JobState;
use super::worker_thread::WorkerThread;
use super::workflow::{self, Replacement};
use super::{rejection, run_status};
use crate::error::TaskError;
use crate::inputs::Input;
use crate::runtimes::interrupt::unless_stopped;
use crate::runtimes::{Job, RunOutput};

/// How long to wait before something is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// One job in the runtime, from its queueing to its results.
///
/// Several may be under way at once: the job of the second waits in ComfyUI's queue until the first has finished.
pub(super) struct Attempt {
    client: Client,
    thread: Arc<WorkerThread>,
    handle: Handle,
    /// Whether the runtime may have the job in its queue.
    queued: bool,
    /// Whether the previous process submitted it.
    is_adopted: bool,
    /// Whether the same workflow has succeeded before, so that the server can read it.
    is_known: bool,
    /// What is known of nodes that make others.
    makers: Arc<Makers>,
    /// Whether the cache may be the only reason for a run without results, or for one without some of them: the nodes that hide
    /// those, as far as they are known.
    hidden_by_the_cache: Option<Vec<String>>,
    /// Whether no node with results may come out of the cache.
    is_past_the_cache: bool,
}

impl Attempt {
    /// One that has yet to begin.
    pub(super) fn new(client: Client, thread: Arc<WorkerThread>, makers: Arc<Makers>) -> Self {
        Self {
            client,
            thread,
            handle: Handle::new(),
            queued: false,
            is_adopted: false,
            is_known: false,
            makers,
            hidden_by_the_cache: None,
            is_past_the_cache: false,
        }
    }

    /// One more of a workflow that succeeded before.
    pub(super) fn rerun(client: Client, thread: Arc<WorkerThread>, makers: Arc<Makers>) -> Self {
        Self { is_known: true, ..Self::new(client, thread, makers) }
    }

    /// One that the previous process submitted.
    pub(super) fn adopted(
        client: Client,
        thread: Arc<WorkerThread>,
        makers: Arc<Makers>,
        handle: Handle,
    ) -> Self {
        Self { handle, queued: true, is_adopted: true, ..Self::new(client, thread, makers) }
    }

    /// The whole path, until `job.stop` is cancelled. A job that fails is taken out of the runtime again; its entry in the
    /// history stays.
    pub(super) async fn run(&mut self, job: &Job) -> Result<RunOutput, TaskError> {
        match self.run_past_the_cache(job).await {
            Ok(output) => Ok(output),
            Err(error) => {
                let error = self.cancelled_for(error).await;
                // Also of a run that was not queued: inputs of it may be in the runtime.
                job.handles.send(self.handle.written()).ok();
                Err(error)
            }
        }
    }

    /// A run that lacks results because of the cache is made once more, with nodes that differ from those in the cache.
    async fn run_past_the_cache(&mut self, job: &Job) -> Result<RunOutput, TaskError> {
        let mut workflow = self.prepare(job).await?;
        match self.run_once(job, &workflow).await {
            Err(error) if self.is_for_the_cache(&error).await => {
                tracing::info!("the cached run lacks results, running once more without the cache");
                let Handle { input_folder, output_folder, .. } = self.handle.clone();
                self.handle = Handle { input_folder, output_folder, ..Handle::new() };
                let hiding = self.hidden_by_the_cache.take().unwrap_or_default();
                workflow::avoid_the_cache(&mut workflow, &hiding, &self.handle.client_id);
                self.is_past_the_cache = true;
                self.run_once(job, &workflow).await
            }
            result => result,
        }
    }

    /// Whether the run finished with that error only because results of an earlier job were used: ComfyUI lists no results for a
    /// node that it expanded into others for that one. Such a run is taken out of the history, since another one follows.
    async fn is_for_the_cache(&self, error: &TaskError) -> bool {
        let is_for_the_cache = error.code == ErrorCode::NoOutput && self.hidden_by_the_cache.is_some();
        if is_for_the_cache {
            // It stays there otherwise, which costs memory only.
            self.client.forget(&self.handle.jobs().collect::<Vec<_>>()).await.ok();
        }
        is_for_the_cache
    }

    /// The second half of the path. `None` when the job has to run again: the runtime does not know it any more, its results
    /// came over a socket of the previous process, or it has nothing to show because of the cache.
    pub(super) async fn adopt(&mut self, job: &Job) -> Option<Result<RunOutput, TaskError>> {
        let events = self.listen(job).await;
        if events.carry_results() {
            self.cancel_run().await;
            return None;
        }
        match self.finish(job, events).await {
            Ok(output) => Some(Ok(output)),
            Err(error) if error.code == ErrorCode::JobLost => None,
            Err(error) if self.is_for_the_cache(&error).await => None,
            Err(error) => Some(Err(self.cancelled_for(error).await)),
        }
    }

    /// The workflow to queue, once its inputs are in the runtime and its results have a place there.
    async fn prepare(&self, job: &Job) -> Result<Value, TaskError> {
        let folder = &self.handle.output_folder;
        let uploads = unless_stopped(&job.stop, self.upload(&job.inputs, &self.handle.input_folder)).await?;
        let workflow = workflow::prepare(&job.task.content, uploads, folder)?;
        if workflow::may_need_a_folder(&job.task.content) {
            // Some nodes put the whole prefix, with its folders, behind the folder of it.
            let making = self.make_output_folder(format!("{folder}/{folder}"));
            unless_stopped(&job.stop, making).await?;
        }
        Ok(workflow)
    }

    async fn run_once(&mut self, job: &Job, workflow: &Value) -> Result<RunOutput, TaskError> {
        let events = unless_stopped(&job.stop, async { Ok(self.listen(job).await) }).await?;
        if events.would_miss_results() {
            return Err(results_lost());
        }
        // The receiver may be gone.
        job.handles.send(self.handle.written()).ok();
        self.queue(workflow, &job.stop).await?;
        tracing::debug!(prompt_id = self.handle.prompt_id, "workflow queued");
        self.finish(job, events).await
    }

    async fn finish(&mut self, job: &Job, mut events: Events) -> Result<RunOutput, TaskError> {
        let follower = Follower {
            client: &self.client,
            thread: &self.thread,
            events: &mut events,
            progress: &job.progress,
            may_have_missed_events: self.is_adopted,
        };
        let following = follower.follow(&mut self.handle, &job.handles);
        let finished = unless_stopped(&job.stop, following).await?;
        self.queued = !finished.entry.is_success();
        run_status::check(&finished.entry)?;
        let workflow = &job.task.content;
        self.look_for_hidden_results(workflow, &finished)?;
        // The workflow that was queued has the same nodes in the same order.
        let Handle { output_folder, input_folder, .. } = &self.handle;
        let outputs =
            outputs::collect(&finished.entry, workflow, output_folder, input_folder, finished.images);
        let fetching = self.fetch(&outputs, &finished.budget);
        let fetched = unless_stopped(&job.stop, fetching).await?;
        outputs.finished(&self.handle.prompt_id, fetched, &finished.blocks)
    }

    /// # Errors
    /// Nodes that come out of the cache hide results, which another run would have.
    fn look_for_hidden_results(
        &mut self,
        workflow: &Map<String, Value>,
        finished: &Finished,
    ) -> Result<(), TaskError> {
        let hiding = self.makers.hiding(workflow, &finished.entry);
        self.makers.learn(workflow, &finished.entry);
        let lacks_results = !hiding.is_empty() && !self.is_past_the_cache;
        let may_lack_all = finished.blocks.is_empty() && finished.entry.used_a_cached_output(workflow);
        self.hidden_by_the_cache = (lacks_results || may_lack_all).then_some(hiding);
        if lacks_results {
            let message =
                "the results of an earlier job were used, which hides what further nodes would show";
            return Err(TaskError::new(ErrorCode::NoOutput, message));
        }
        Ok(())
    }

    /// The previews only if there is no other file.
    async fn fetch(
        &self,
        outputs: &Outputs,
        budget: &TransferBudget,
    ) -> Result<Vec<(usize, Fetched)>, TaskError> {
        let mut fetched = fetch(&self.client, outputs.sources(false), budget).await?;
        if fetched.iter().all(|(_, result)| matches!(result, Fetched::NoFile)) {
            fetched.extend(fetch(&self.client, outputs.sources(true), budget).await?);
        }
        let is_lost = |(place, result): &(usize, Fetched)| {
            matches!(result, Fetched::Missing) && outputs.found[*place].may_be_gone
        };
        if fetched.iter().any(is_lost) {
            return Err(lost(&self.client).await);
        }
        Ok(fetched)
    }

    async fn upload(&self, inputs: &[Input], folder: &str) -> Result<Vec<Replacement>, TaskError> {
        let mut replacements = Vec::with_capacity(inputs.len());
        for (n, input) in (1..).zip(inputs) {
            // Plain ASCII: ComfyUI takes an encoded name literally.
            let name = format!("input-{n}.{}", input.extension);
            let uploaded = self.client.upload(input, name, folder).await.map_err(|error| {
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

    /// Where a node without the habit of making folders can save. A server that makes none fails such a node.
    async fn make_output_folder(&self, folder: String) -> Result<(), TaskError> {
        match self.client.make_output_folder(&folder).await {
            Err(error @ CallError::Status(status)) if status.is_client_error() => {
                tracing::debug!(%error, "creating the output folder failed");
                Ok(())
            }
            result => Ok(result?),
        }
    }

    async fn listen(&self, job: &Job) -> Events {
        let last = self.handle.jobs().last().unwrap_or(&self.handle.prompt_id);
        let reader = Reader::new(last, &job.task.content, job.progress.clone());
        let url = self.client.socket_url(&self.handle.client_id);
        Events::open(url, reader, self.client.max_bytes).await
    }

    /// Posts the workflow. A stop waits for the answer: a job that may or may not be queued is hard to withdraw.
    async fn queue(&mut self, workflow: &Value, stop: &CancellationToken) -> Result<(), TaskError> {
        let Handle { prompt_id, client_id, .. } = &self.handle;
        // No `number`: two equal ones would kill ComfyUI's worker thread. No `extra_data`: parts of it break calls.
        let body = json!({ "prompt": workflow, "client_id": client_id, "prompt_id": prompt_id });
        self.queued = true;
        match self.client.submit(&body).await {
            Ok(answer) => self.read_answer(&answer).await,
            Err(CallError::Unreachable) => {
                self.queued = false;
                Err(CallError::Unreachable.into())
            }
            Err(lost) => match unless_stopped(stop, self.look_for_queued(lost)).await {
                // The server refuses the id if it has the job after all.
                Err(error)
                    if error.code != ErrorCode::Interrupted
                        && self.client.capabilities().refuses_repeated_ids =>
                {
                    match self.client.submit(&body).await {
                        Ok(answer) => self.read_answer(&answer).await,
                        Err(_) => Err(error),
                    }
                }
                result => result,
            },
        }
    }

    async fn read_answer(&self, answer: &Answer) -> Result<(), TaskError> {
        let rejected = |message: &str| TaskError::new(ErrorCode::RuntimeRejected, message);
        match answer.status {
            StatusCode::OK => {
                let body: Value = answer.json()?;
                let given = body["prompt_id"].as_str().ok_or(CallError::Unreadable)?;
                if given != self.handle.prompt_id {
                    // The job would not be followed under its other id. It is cancelled by its client id.
                    let message = "the runtime does not take its callers' ids; a newer ComfyUI is needed";
                    return Err(TaskError::new(ErrorCode::RuntimeBadAnswer, message));
                }
                if rejection::has_node_errors(&body) {
                    return Err(rejection::explain(&body));
                }
                Ok(())
            }
            // It was posted before, and the answer was lost on the way.
            StatusCode::CONFLICT => Ok(()),
            StatusCode::BAD_REQUEST => Err(rejection::explain(&answer.json()?)),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Err(rejected("the workflow is larger than the runtime takes (`--max-upload-size`)"))
            }
            // ComfyUI stumbles over a malformed workflow, and would again. A server that is broken answers nothing else.
            StatusCode::INTERNAL_SERVER_ERROR if !self.is_known && self.client.queue().await.is_ok() => {
                Err(rejected("the runtime cannot read the workflow: it is not in API format"))
            }
            status => Err(CallError::Status(status).into()),
        }
    }

    /// After an answer that did not arrive: the job may be queued nevertheless.
    async fn look_for_queued(&self, lost: CallError) -> Result<(), TaskError> {
        for _ in 0..3 {
            match self.client.find(&self.handle.prompt_id).await {
                Ok(JobState::Unknown) | Err(_) => sleep(RETRY_PAUSE).await,
                Ok(_) => return Ok(()),
            }
        }
        Err(lost.into())
    }

    /// Takes the job out of the runtime after that error. An interrupted job that does not stop is another error.
    async fn cancelled_for(&self, error: TaskError) -> TaskError {
        if self.cancel_run().await || error.code != ErrorCode::Interrupted {
            return error;
        }
        TaskError::new(ErrorCode::RuntimeStuck, "the runtime still works on a job that was interrupted")
    }

    /// Whether the runtime has nothing of the job left in its queue.
    async fn cancel_run(&self) -> bool {
        !self.queued || cancel_run(&self.client, &self.handle).await
    }
}
