//! ComfyUI: workflows in API format, queued over HTTP, followed over a WebSocket, with the history as the truth.
//!
//! `attempt` is the path of one task; the other modules are its steps, in order, and what they stand on.

mod attempt;
mod reseed;

mod handle;
mod workflow;

mod rejection;

mod events;
mod follow;
pub(crate) mod frames;
mod requeue;
mod share;
mod worker_thread;

mod history;
mod run_status;

mod expansion;
mod items;
mod order;
mod outputs;

mod fetch;
mod run_output;

mod cancel;

mod budget;
mod capabilities;
mod client;
mod queue;
mod redact;
mod retry;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use shared_schema::runtimes::comfyui::JOBS_FOLDER;
use shared_schema::{ErrorCode, TaskId};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use self::attempt::Attempt;
use self::client::{CallError, Client};
use self::expansion::Makers;
use self::handle::Handle;
use self::queue::{JobState, Queue};
use self::worker_thread::WorkerThread;
use super::{Job, Leavings, Process, RunHandle, RunOutput, Runtime, RuntimeOptions};
use crate::error::TaskError;

/// Where predecessors' deployments have it.
pub const DEFAULT_ADDRESS: &str = "localhost:8080";

/// Its folders for inputs, results and temporary files. The first may hold files of its operator; nodes write to the others,
/// not always below the prefix that they are given.
pub const LEAVINGS: Leavings = Leavings {
    roots: &["input", "output", "temp"],
    run_folder: JOBS_FOLDER,
    disposable: &["output", "temp"],
};

/// The client side of the ComfyUI at `API_BASE_URL` (`host:port` or `http://host:port/`, default `localhost:8080`).
pub fn connect(options: &RuntimeOptions) -> Result<Arc<dyn Runtime>, String> {
    let base = base_url(options.api_base_url.as_deref().unwrap_or(DEFAULT_ADDRESS))?;
    let client = Client::new(base, options.max_task_bytes)?;
    Ok(Arc::new(ComfyUi { client, thread: Arc::default(), makers: Arc::default() }))
}

/// Validates the options without a client.
pub fn check_options(options: &RuntimeOptions) -> Result<(), String> {
    base_url(options.api_base_url.as_deref().unwrap_or(DEFAULT_ADDRESS)).map(drop)
}

fn base_url(address: &str) -> Result<Url, String> {
    let spelled_out = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let mut url =
        Url::parse(&spelled_out).map_err(|error| format!("API_BASE_URL is not an address: {error}"))?;
    if url.scheme() != "http" {
        return Err(
            "API_BASE_URL must be `host:port` or `http://host:port`: ComfyUI speaks plain HTTP".to_owned()
        );
    }
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        let folder = format!("{}/", url.path());
        url.set_path(&folder);
    }
    Ok(url)
}

struct ComfyUi {
    client: Client,
    thread: Arc<WorkerThread>,
    makers: Arc<Makers>,
}

#[async_trait]
impl Runtime for ComfyUi {
    /// ComfyUI opens its port after all nodes are loaded, so an answer means that it has started. It does not mean that
    /// its worker thread lives: when that has died, everything still answers 200, but jobs wait and none runs.
    async fn ready(&self) -> Result<(), TaskError> {
        let answered = self.client.system_stats().await;
        if answered == Err(CallError::Unreachable) {
            self.thread.observe_restart();
        }
        answered?;
        let queue = match self.client.queue_length().await? {
            0 => Queue::default(),
            _ => self.client.queue().await?,
        };
        if queue.is_empty() {
            return self.thread.observe_idle();
        }
        if queue.is_stalled() {
            self.thread.observe_stall(Instant::now())?;
            let message = "jobs wait in the runtime and none runs";
            return Err(TaskError::new(ErrorCode::RuntimeUnavailable, message));
        }
        self.thread.observe_running();
        Ok(())
    }

    async fn pin_settings(&self) -> Result<(), TaskError> {
        Ok(self.client.probe_capabilities().await?)
    }

    /// A person's jobs are not touched; those of another worker are, if it was pointed at the same ComfyUI.
    async fn interrupt_orphans(&self, keep: &[RunHandle]) -> Result<bool, TaskError> {
        let keep = keep.iter().filter_map(Handle::read).map(|handle| handle.client_id).collect();
        Ok(cancel::interrupt_orphans(&self.client, &keep).await?)
    }

    async fn run(&self, job: Job) -> Result<RunOutput, TaskError> {
        Attempt::new(self.client.clone(), Arc::clone(&self.thread), Arc::clone(&self.makers)).run(&job).await
    }

    async fn adopt(&self, job: Job, handle: &RunHandle) -> Option<Result<RunOutput, TaskError>> {
        let handle = Handle::read(handle)?;
        let makers = Arc::clone(&self.makers);
        Attempt::adopted(self.client.clone(), Arc::clone(&self.thread), makers, handle).adopt(&job).await
    }

    /// A result of the cache would be worth nothing here.
    async fn rerun(&self, job: Job) -> Result<RunOutput, TaskError> {
        let job = match reseed::reseeded(&job.task) {
            Some(task) => Job { task, ..job },
            None => {
                self.client.free_memory().await;
                job
            }
        };
        let makers = Arc::clone(&self.makers);
        Attempt::rerun(self.client.clone(), Arc::clone(&self.thread), makers).run(&job).await
    }

    /// The history does not outlive the process.
    async fn process(&self, run: Option<&RunHandle>) -> Process {
        let answer = match run.and_then(Handle::read) {
            Some(handle) => self.client.find(&handle.prompt_id).await,
            None => self.client.system_stats().await.map(|()| JobState::Running),
        };
        match answer {
            Err(CallError::Unreachable) => Process::Gone,
            // Of what stands before a server that is gone.
            Err(CallError::Status(status)) if matches!(status.as_u16(), 502 | 503) => Process::Gone,
            Ok(JobState::Unknown) => Process::Fresh,
            _ => Process::Same,
        }
    }

    async fn forget(&self, handle: &RunHandle) {
        if let Some(handle) = Handle::read(handle)
            && let Err(error) = self.client.forget(&handle.jobs().collect::<Vec<_>>()).await
        {
            tracing::debug!(%error, "deleting the runtime's history entry failed");
        }
    }

    fn run_folders(&self, handle: &RunHandle) -> Vec<Uuid> {
        Handle::read(handle).iter().flat_map(Handle::folders).collect()
    }

    async fn free_memory(&self) {
        self.client.free_memory().await;
    }
}

/// The `.out` file of a task that failed: predecessors' `code`, and what they left out.
pub fn failure_report(_id: &TaskId, error: &TaskError, attempts: u32) -> Value {
    json!({ "code": 500, "error": error.failure(attempts), "reason": error.reason })
}

#[cfg(test)]
mod tests {
    use super::history::Entry;
    use super::*;

    /// A recording of a real server, by name.
    pub(super) fn recording(name: &str) -> Value {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/comfyui");
        serde_json::from_slice(&std::fs::read(format!("{folder}/{name}.json")).unwrap()).unwrap()
    }

    /// The history entry of a recording.
    pub(super) fn history_entry(recording: &Value) -> Value {
        recording["history"]["body"].as_object().unwrap().values().next().unwrap().clone()
    }

    /// An entry of the history, read.
    pub(super) fn entry(value: Value) -> Entry {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_spelling_of_the_address_is_understood() {
        for address in ["gpu:8188", "http://gpu:8188", "http://gpu:8188/"] {
            assert_eq!(base_url(address).unwrap().as_str(), "http://gpu:8188/");
        }
        assert_eq!(base_url("http://gpu/comfy").unwrap().as_str(), "http://gpu/comfy/");
        assert_eq!(base_url(DEFAULT_ADDRESS).unwrap().as_str(), "http://localhost:8080/");
    }

    #[test]
    fn an_address_that_cannot_work_is_refused() {
        for address in ["https://gpu:8188", "", "http://", "gpu:port"] {
            assert!(base_url(address).unwrap_err().contains("API_BASE_URL"), "{address}");
        }
    }

    #[test]
    fn a_failure_report_holds_the_error_and_the_runtimes_answer() {
        let error =
            TaskError::new(ErrorCode::RuntimeFailed, "it broke").at_node("7").with_reason(json!({"a": 1}));
        let id = serde_json::from_value(json!("task-1")).unwrap();
        let report = failure_report(&id, &error, 2);
        let expected = json!({
            "code": 500,
            "error": {"code": "runtime_failed", "message": "it broke", "node_id": "7", "attempts": 2},
            "reason": {"a": 1},
        });
        assert_eq!(report, expected);
    }
}
