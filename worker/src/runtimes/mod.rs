//! The runtimes that a worker can serve. Each is a folder here; nothing outside it knows its name.
//!
//! A new runtime is a folder that implements [`Runtime`], a line in [`REGISTRY`], and the schemas of its task types.

pub(crate) mod address;
pub(crate) mod calls;
pub mod comfyui;
pub(crate) mod error_text;
pub(crate) mod interrupt;
pub mod left_run;
pub mod openai_images;
pub(crate) mod poll_schedule;
pub mod sdcpp;
pub mod sdwebui;

pub(crate) mod known_errors;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared_schema::notification::Warning;
use shared_schema::runtimes::{self as contracts, RuntimeContract};
use shared_schema::{Task, TaskId, TaskType};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::left_run::UninterruptibleRun;
use crate::error::TaskError;
use crate::inputs::Input;

/// A Stable Diffusion server in the worker's pod.
#[async_trait]
pub trait Runtime: Send + Sync {
    /// One probe: `Ok` when the runtime can take a job (its API answers and a model is loaded or can be).
    ///
    /// `runtime_stuck` means that it answers and yet works on nothing: only a restart helps.
    async fn ready(&self) -> Result<(), TaskError>;

    /// Called once each time the runtime has become ready, before its first job: makes its settings restorable, and probes its version.
    async fn pin_settings(&self) -> Result<(), TaskError> {
        Ok(())
    }

    /// One poll whether the runtime runs or queues any job of a worker, except the runs in `keep`;
    /// such orphans are interrupted. `Ok(true)` when none is left: called again until then.
    ///
    /// For runs of the previous process of this worker, and for a run that did not stop when it was interrupted.
    async fn interrupt_orphans(&self, keep: &[RunHandle]) -> Result<bool, TaskError>;

    /// Runs one task and returns everything it yielded.
    ///
    /// May be called while another run is still going on, when that is about to end: the runtime then has the next job
    /// before it needs it, and starts it without a further call. An implementation that cannot do so waits its turn.
    ///
    /// When `job.stop` is cancelled, the run is interrupted inside the runtime, so that the next job does not wait
    /// behind it, and the error `interrupted` is returned soon. A runtime that was never asked, or that is gone, counts
    /// as interrupted. No other run may suffer from the interruption. A runtime that takes several jobs, or that cannot
    /// interrupt its runs, returns `runtime_stuck` instead when it still works on the run.
    ///
    /// A runtime that takes several jobs reports through `job.progress` when the job waits behind another one and when it
    /// begins. For any other, a run starts when the run before it has finished.
    async fn run(&self, job: Job) -> Result<RunOutput, TaskError>;

    /// Follows a run that the previous process of this worker submitted. `None` when the runtime does not know it any more,
    /// or cannot distinguish its runs.
    async fn adopt(&self, _job: Job, _handle: &RunHandle) -> Option<Result<RunOutput, TaskError>> {
        None
    }

    /// Runs a task that succeeded before, so that nothing of that run is used again: whether the runtime still can do it.
    async fn rerun(&self, job: Job) -> Result<RunOutput, TaskError> {
        self.run(job).await
    }

    /// One poll whether the process is still the one that made `run`, or any run.
    async fn process(&self, run: Option<&RunHandle>) -> Process;

    /// Called when a task's results are stored, or it has failed: nothing of the run is needed any more.
    async fn forget(&self, _handle: &RunHandle) {}

    /// The names of the folders that a run has for itself, in each of the places that [`Leavings`] names.
    fn run_folders(&self, _handle: &RunHandle) -> Vec<Uuid> {
        Vec::new()
    }

    /// Unloads models and caches, so that a task that ran out of memory has a second chance. Best effort.
    async fn free_memory(&self);
}

/// What a runtime's process has of earlier runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// Connections are refused, or the server has not started yet: there is no process with runs.
    Gone,
    /// It answers, and knows of no such run.
    Fresh,
    /// It knows of the run, or does not say.
    Same,
}

/// A runtime's identification of one of its runs; kept in a file, so that it survives the worker's process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunHandle(pub Value);

/// One task, ready to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The task, as it came.
    pub task: Arc<Task>,
    /// The images (or other media) that its fields name, fetched and checked.
    pub inputs: Vec<Input>,
    /// Cancelled when the run is to end early.
    pub stop: CancellationToken,
    /// Receives the progress of the run.
    pub progress: Progress,
    /// Receives what the run can be found by, before the runtime gets the job; or when it fails before that.
    pub handles: mpsc::UnboundedSender<RunHandle>,
}

impl Job {
    /// A job without listeners, with a `stop` of its own.
    pub fn new(task: Arc<Task>, inputs: Vec<Input>) -> Self {
        let (handles, _) = mpsc::unbounded_channel();
        let (stop, progress) = (CancellationToken::new(), Progress::new());
        Self { task, inputs, stop, progress, handles }
    }
}

/// Where a run is within its work.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Position {
    /// The sampling step, and how many there are.
    pub step: Option<(u64, u64)>,
    /// The id of the node of the workflow that runs.
    pub node: Option<String>,
}

/// How far a run is: whether the runtime works on it yet, its signs of life, and what its end is foreseen from.
#[derive(Debug, Clone)]
pub struct Progress {
    position: Arc<Mutex<Position>>,
    reached: Arc<watch::Sender<LastProgress>>,
    phase: Arc<watch::Sender<JobPhase>>,
}

/// The last sign of life of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LastProgress {
    /// The share of the work that is done, 0 to 1; `None` while nothing is known.
    pub share: Option<f64>,
    /// When it changed last.
    pub at: Instant,
}

/// Where a job is in a runtime that has a queue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPhase {
    /// It is on its way there, or nothing is known.
    Unknown,
    /// Another job runs before it.
    Waiting,
    /// It has been running since then.
    Running(Instant),
}

impl Progress {
    /// That of a job which is about to be given to the runtime.
    pub fn new() -> Self {
        let reached = LastProgress { share: None, at: Instant::now() };
        Self {
            position: Arc::default(),
            reached: Arc::new(watch::Sender::new(reached)),
            phase: Arc::new(watch::Sender::new(JobPhase::Unknown)),
        }
    }

    /// The job waits in the runtime's queue: its clocks do not run.
    pub fn set_waiting(&self) {
        self.set_phase(JobPhase::Waiting);
    }

    /// The runtime works on the job: its clocks run from the first call on.
    pub fn set_running(&self) {
        self.set_phase(JobPhase::Running(Instant::now()));
    }

    /// A run that has begun neither waits again nor begins again.
    fn set_phase(&self, to: JobPhase) {
        self.phase.send_if_modified(|phase| {
            let moves = !matches!(phase, JobPhase::Running(_)) && *phase != to;
            if moves {
                *phase = to;
            }
            moves
        });
    }

    /// Where the job is.
    pub fn phase(&self) -> JobPhase {
        *self.phase.borrow()
    }

    /// When the runtime began to work on the job, if it has.
    pub fn began(&self) -> Option<Instant> {
        match self.phase() {
            JobPhase::Running(since) => Some(since),
            JobPhase::Unknown | JobPhase::Waiting => None,
        }
    }

    /// Waits until the place is one of those, and returns it.
    pub async fn until(&self, is_there: impl Fn(&JobPhase) -> bool) -> JobPhase {
        // The sender lives as long as `self`.
        self.phase.subscribe().wait_for(is_there).await.map_or(JobPhase::Unknown, |phase| *phase)
    }

    /// The run has reached this share of its work. Saying the same again is no sign of life.
    pub fn advance_to(&self, share: f64) {
        self.set_running();
        let share = Some(share.clamp(0.0, 1.0));
        self.reached.send_if_modified(|last| {
            let moved = last.share != share;
            if moved {
                *last = LastProgress { share, at: Instant::now() };
            }
            moved
        });
    }

    /// The run is at that place.
    pub fn set_position(&self, position: Position) {
        *self.position.lock().unwrap_or_else(PoisonError::into_inner) = position;
    }

    /// The place that was reported last.
    pub fn position(&self) -> Position {
        self.position.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The run is alive, though it is not known how far it is.
    pub fn heartbeat(&self) {
        self.set_running();
        self.reached.send_modify(|last| last.at = Instant::now());
    }

    /// Completes when there was no sign of life for that long, counted from now at the earliest.
    pub(crate) async fn stalled(&self, after: Duration) {
        self.heartbeat();
        let watched = self.watch();
        loop {
            let silent_until = watched.borrow().at + after;
            if silent_until <= Instant::now() {
                return;
            }
            sleep_until(silent_until).await;
        }
    }

    /// The last sign of life, and each that follows.
    pub fn watch(&self) -> watch::Receiver<LastProgress> {
        self.reached.subscribe()
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

/// What a run yielded.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutput {
    /// The files, in the order of their numbers.
    pub files: Vec<OutputFile>,
    /// The `.out` file, before the notification is added to it.
    pub report: Value,
    /// What the caller should know although the run succeeded.
    pub warnings: Vec<Warning>,
    /// What the record of the task has of the run.
    pub reported: Reported,
}

/// The seed and the parameters that a runtime reported of a run.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Reported {
    /// The seed of the first image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<Value>,
    /// Further parameters, in the runtime's own terms.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub parameters: Map<String, Value>,
}

impl Reported {
    /// The fields of these names, as far as they have a value.
    pub(crate) fn parameters_of(source: &Value, names: &[&str]) -> Map<String, Value> {
        let value = |name: &&str| source.get(*name).filter(|value| !value.is_null()).cloned();
        names.iter().filter_map(|name| Some(((*name).to_owned(), value(name)?))).collect()
    }
}

/// One file of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputFile {
    /// The file itself.
    pub bytes: Bytes,
    /// Its name in the runtime, if it had one; it decides the type where the bytes do not.
    pub name: Option<String>,
}

/// What a runtime is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeOptions {
    /// `API_BASE_URL` as configured; absent means the runtime's own default.
    pub api_base_url: Option<String>,
    /// Whether a task may name the model to load (`DYNAMIC_SD_MODEL`).
    pub dynamic_model: bool,
    /// The most bytes that the results of one task may have.
    pub max_task_bytes: u64,
    /// How long a run may show no sign of life (`STUCK_SECONDS`).
    pub stuck_after: Duration,
    /// Settings of extensions that a task may override (`SETTINGS_ALLOWED`).
    pub settings_allowed: Vec<String>,
    /// What is done about a run that cannot be interrupted (`UNINTERRUPTIBLE_RUN`).
    pub uninterruptible_run: UninterruptibleRun,
}

/// One type of runtime.
#[derive(Debug)]
pub struct RuntimeType {
    /// What it accepts, and its name in `RUNTIME_TYPE`.
    pub contract: &'static dyn RuntimeContract,
    /// The default of `API_BASE_URL`.
    pub default_address: &'static str,
    /// Validates the options, without side effects. An error names the variable that is wrong.
    pub check_options: fn(&RuntimeOptions) -> Result<(), String>,
    /// Creates its client from validated options.
    pub connect: fn(&RuntimeOptions) -> Result<Arc<dyn Runtime>, String>,
    /// Whether it distinguishes its jobs, so that it can get several at once (`WORKER_CONCURRENCY`).
    pub takes_several: bool,
    /// What its server leaves on the disk.
    pub leavings: Leavings,
    /// The `.out` file of a task that failed, in the format of this runtime's predecessor.
    pub failure_report: fn(&TaskId, &TaskError, attempts: u32) -> Value,
}

/// What a runtime's server leaves in its scratch folder. Paths are relative to that folder.
#[derive(Debug)]
pub struct Leavings {
    /// Where it keeps files of runs.
    pub roots: &'static [&'static str],
    /// The folder in each of them in which every run has folders of its own, each named by a UUID that the worker chose.
    pub run_folder: &'static str,
    /// Folders whose other files are not needed while nothing runs.
    pub disposable: &'static [&'static str],
}

/// All types of runtimes, one line each.
pub static REGISTRY: [RuntimeType; 4] = [
    RuntimeType {
        contract: &contracts::sdwebui::SdWebUi,
        default_address: sdwebui::DEFAULT_ADDRESS,
        check_options: sdwebui::check_options,
        connect: sdwebui::connect,
        takes_several: false,
        leavings: sdwebui::LEAVINGS,
        failure_report: sdwebui::failure_report,
    },
    RuntimeType {
        contract: &contracts::comfyui::ComfyUi,
        default_address: comfyui::DEFAULT_ADDRESS,
        check_options: comfyui::check_options,
        connect: comfyui::connect,
        takes_several: true,
        leavings: comfyui::LEAVINGS,
        failure_report: comfyui::failure_report,
    },
    RuntimeType {
        contract: &contracts::openai_images::OpenAiImages,
        default_address: openai_images::DEFAULT_ADDRESS,
        check_options: openai_images::check_options,
        connect: openai_images::connect,
        takes_several: false,
        leavings: openai_images::LEAVINGS,
        failure_report: openai_images::failure_report,
    },
    RuntimeType {
        contract: &contracts::sdcpp::SdCpp,
        default_address: sdcpp::DEFAULT_ADDRESS,
        check_options: sdcpp::check_options,
        connect: sdcpp::connect,
        takes_several: true,
        leavings: sdcpp::LEAVINGS,
        failure_report: sdcpp::failure_report,
    },
];

impl RuntimeType {
    /// The type of that name.
    pub fn by_name(name: &str) -> Option<&'static RuntimeType> {
        REGISTRY.iter().find(|known| known.name() == name)
    }

    /// Its name in `RUNTIME_TYPE`.
    pub fn name(&self) -> &'static str {
        self.contract.name()
    }

    /// The models that a task names.
    pub fn model_names(&self, task: &Task) -> Vec<String> {
        self.contract.named_models(&task.content).into_iter().map(|(_, model)| model).collect()
    }

    /// The task types that it handles.
    pub fn task_types(&self) -> Vec<TaskType> {
        self.contract.task_types()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_contract_has_a_client() {
        let contracts = contracts::REGISTRY.map(|contract| contract.name());
        assert_eq!(REGISTRY.each_ref().map(RuntimeType::name), contracts);
    }
}
