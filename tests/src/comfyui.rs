//! Runs inside a simulated ComfyUI, driven by the worker's client without a queue.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use shared_schema::{ErrorCode, Task};
use simulated_runtimes::{Behaviour, ComfyUiOptions, DEFAULT_MODEL, Simulation};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use worker::error::TaskError;
use worker::runtimes::{Job, Progress, RunHandle, RunOutput, Runtime, RuntimeOptions, comfyui};

use crate::{fixtures, wait};

/// The result of a run.
pub type RunResult = Result<RunOutput, TaskError>;

/// A runtime whose runs take that long, unless all is in its cache.
pub async fn simulation(latency: Duration) -> Simulation {
    simulation_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), latency).await
}

/// The same at that address.
pub async fn simulation_at(address: SocketAddr, latency: Duration) -> Simulation {
    let behaviour = Behaviour { latency, ..Default::default() };
    let options = ComfyUiOptions { behaviour, ..Default::default() };
    Simulation::start_comfyui(address, options).await.unwrap()
}

/// A client of the runtime, as one process of a worker has it.
pub fn client(simulation: &Simulation) -> Arc<dyn Runtime> {
    client_with(simulation, 64 << 20)
}

/// The same with a bound for the bytes of a task.
pub fn client_with(simulation: &Simulation, max_task_bytes: u64) -> Arc<dyn Runtime> {
    let api_base_url = Some(simulation.url());
    comfyui::connect(&RuntimeOptions {
        api_base_url,
        dynamic_model: false,
        max_task_bytes,
        stuck_after: Duration::from_secs(600),
        settings_allowed: Vec::new(),
        uninterruptible_run: Default::default(),
    })
    .unwrap()
}

/// From checkpoint to saved pictures; every seed is different work.
pub fn sampled(seed: u32, batch: u32) -> Value {
    let mut workflow =
        fixtures::load("comfyui/checkpoint-sampler-progress.json")["request"]["body"]["prompt"].clone();
    workflow["1"]["inputs"]["ckpt_name"] = json!(DEFAULT_MODEL);
    workflow["4"]["inputs"]["batch_size"] = json!(batch);
    workflow["5"]["inputs"]["seed"] = json!(seed);
    workflow["5"]["inputs"]["steps"] = json!(20);
    workflow
}

/// A task with that workflow, ready to run.
pub fn job(workflow: &Value) -> Job {
    let metadata = json!({ "id": "run", "runtime": "comfyui", "tasktype": "pipeline" });
    let task: Task = serde_json::from_value(json!({ "metadata": metadata, "content": workflow })).unwrap();
    Job::new(Arc::new(task), Vec::new())
}

/// A run that the runtime has in its queue.
pub struct Run {
    /// Cancelling this stops it.
    pub stop: CancellationToken,
    /// Its progress.
    pub progress: Progress,
    /// Identifies it for adoption.
    pub handle: RunHandle,
    /// The task it runs in. When aborted, it stops as a killed process does.
    pub running: JoinHandle<RunResult>,
}

impl Run {
    /// Begins it, and waits until the runtime has it in its queue.
    pub async fn begin(runtime: &Arc<dyn Runtime>, simulation: &Simulation, workflow: &Value) -> Self {
        let (handles, mut reported) = mpsc::unbounded_channel();
        let job = Job { handles, ..job(workflow) };
        let (stop, progress) = (job.stop.clone(), job.progress.clone());
        let runtime = Arc::clone(runtime);
        let running = tokio::spawn(async move { runtime.run(job).await });
        let handle = reported.recv().await.expect("a handle");
        let run = Self { stop, progress, handle, running };
        wait::until("the job in the queue", async || queue(simulation).await.place(run.id())).await;
        run
    }

    /// The id of its first job.
    pub fn id(&self) -> &str {
        self.handle.0["prompt_id"].as_str().unwrap()
    }

    /// Waits for its result.
    pub async fn finished(self) -> RunResult {
        self.running.await.unwrap()
    }
}

/// The ids of what runs and what waits.
#[derive(Debug, PartialEq)]
pub struct Queue {
    /// What runs: at most one.
    pub running: Vec<String>,
    /// What waits, in order.
    pub pending: Vec<String>,
}

impl Queue {
    fn place(&self, id: &str) -> Option<()> {
        self.running.iter().chain(&self.pending).any(|other| other == id).then_some(())
    }
}

/// The HTTP client of a person's browser.
pub fn http_client() -> reqwest::Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    reqwest::Client::new()
}

/// Queues a workflow as a person does. Returns the job's id.
pub async fn persons_job(simulation: &Simulation, workflow: &Value) -> String {
    let body = json!({ "prompt": workflow, "client_id": "person" });
    let posted = http_client().post(format!("{}/prompt", simulation.url())).json(&body).send().await.unwrap();
    let answer: Value = posted.json().await.unwrap();
    answer["prompt_id"].as_str().unwrap().to_owned()
}

/// What the runtime has in its queue.
pub async fn queue(simulation: &Simulation) -> Queue {
    let answer = http_client().get(format!("{}/queue", simulation.url())).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    let ids = |jobs: &Value| {
        let jobs = jobs.as_array().unwrap().iter();
        jobs.map(|job| job[1].as_str().unwrap().to_owned()).collect()
    };
    Queue { running: ids(&answer["queue_running"]), pending: ids(&answer["queue_pending"]) }
}

/// Waits until these jobs run and those wait.
pub async fn runs_as(simulation: &Simulation, running: &[&str], pending: &[&str]) {
    wait::until("the expected queue", async || {
        let queue = queue(simulation).await;
        (queue.running == running && queue.pending == pending).then_some(())
    })
    .await;
}

/// The ids of the jobs that the runtime has executed, in order.
pub fn ran(simulation: &Simulation) -> Vec<String> {
    simulation.busy().into_iter().map(|interval| interval.label).collect()
}

/// The error code of a run that must have failed.
pub fn code(result: RunResult) -> ErrorCode {
    result.unwrap_err().code
}

/// The bodies of the requests to that path, in order.
pub fn posts(simulation: &Simulation, path: &str) -> Vec<Value> {
    let requests = simulation.requests().into_iter();
    requests.filter(|request| request.path == path).filter_map(|request| request.body).collect()
}
