//! Tasks made from the recorded requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use shared_schema::Task;
use tokio::sync::mpsc;
use worker::error::TaskError;
use worker::inputs::Input;
use worker::runtimes::{Job, RunHandle, RunOutput, Runtime, RuntimeOptions};

/// The caller's id of every task here.
pub(crate) const ID: &str = "recorded";

/// A task with that content, ready to run.
pub(crate) fn job(tasktype: &str, content: &Value, inputs: Vec<Input>) -> Job {
    let metadata = json!({ "id": ID, "runtime": "recorded", "tasktype": tasktype });
    let task: Task = serde_json::from_value(json!({ "metadata": metadata, "content": content })).unwrap();
    Job::new(Arc::new(task), inputs)
}

/// Runs the job, and returns its result and the handle for its adoption.
pub(crate) async fn run(runtime: &dyn Runtime, mut job: Job) -> (Result<RunOutput, TaskError>, RunHandle) {
    let (handles, mut reported) = mpsc::unbounded_channel();
    job.handles = handles;
    let result = runtime.run(job).await;
    (result, reported.try_recv().expect("a handle"))
}

/// A PNG that was fetched for the field at that pointer into the content.
pub(crate) fn png(pointer: &str, bytes: impl Into<Bytes>) -> Input {
    let (pointer, bytes) = (pointer.to_owned(), bytes.into());
    Input { pointer, bytes, content_type: "image/png", extension: "png" }
}

/// The options of a client of the runtime at that address.
pub(crate) fn options(url: &str) -> RuntimeOptions {
    RuntimeOptions {
        api_base_url: Some(url.to_owned()),
        dynamic_model: false,
        max_task_bytes: 64 << 20,
        stuck_after: Duration::from_secs(600),
        settings_allowed: Vec::new(),
        uninterruptible_run: Default::default(),
    }
}
