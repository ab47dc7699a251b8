//! A pod: a worker and its runtime; and the record of their processes and runs.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::Result;
use integration_tests::lab::free_port;
use integration_tests::process::Process;
use serde_json::Value;
use simulated_runtimes::{Behaviour, ComfyUiOptions, Fault, SdWebUiOptions, Simulation};

/// The pod's `terminationGracePeriodSeconds`: after that, a worker that got SIGTERM is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(12);

/// A pod.
pub(crate) struct Pod {
    /// Its name, which is its worker's access key id, too.
    pub(crate) name: String,
    /// The URL of the queue that it works on.
    pub(crate) queue_url: String,
    /// Held during a disruption: one at a time.
    pub(crate) disruption: tokio::sync::Mutex<()>,
    runtime: RuntimeContainer,
    worker: tokio::sync::Mutex<Process>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    record: Mutex<PodRecord>,
}

struct RuntimeContainer {
    runtime_type: &'static str,
    latency: Duration,
    address: SocketAddr,
    simulation: Mutex<Option<Simulation>>,
    restarting: tokio::sync::Mutex<()>,
    restarts: AtomicUsize,
}

/// The processes and runs of a pod's containers.
#[derive(Default)]
pub(crate) struct PodRecord {
    /// The processes of the worker, in order.
    pub(crate) processes: Vec<WorkerProcess>,
    /// The runs of the runtime.
    pub(crate) runs: Vec<Run>,
    /// The task of each prompt of ComfyUI.
    tasks: HashMap<String, String>,
    /// Why the present process will exit, and since when.
    expected_exit: Option<(Instant, ExitCause)>,
}

/// A process of a worker.
pub(crate) struct WorkerProcess {
    /// When and why it exited, unless it is running.
    pub(crate) exit: Option<(Instant, ExitCause)>,
}

/// Why a process exited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ExitCause {
    /// By `kill -9`.
    Killed,
    /// By SIGTERM, within the grace period.
    Stopped,
    /// By `kill -9` after the grace period.
    Overdue,
    /// By itself, with that exit status.
    Unexpected(String),
}

/// One run of a task.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) pod: String,
    pub(crate) task: String,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    /// Cut off by a crash of the runtime.
    pub(crate) is_cut: bool,
    /// Failed because the runtime was broken.
    pub(crate) met_broken: bool,
}

impl Pod {
    /// Starts both containers. `variables` lack the runtime's address.
    pub(crate) async fn start(
        name: String,
        (runtime_type, latency): (&'static str, Duration),
        queue_url: String,
        mut variables: Vec<(String, String)>,
        log: PathBuf,
    ) -> Result<Self> {
        let simulation = simulation(runtime_type, latency, free_port()).await?;
        let address = simulation.address();
        variables.push(("API_BASE_URL".to_owned(), simulation.url()));
        let worker = Process::start("worker", &variables);
        let record = PodRecord { processes: vec![WorkerProcess { exit: None }], ..PodRecord::default() };
        Ok(Self {
            name,
            queue_url,
            disruption: tokio::sync::Mutex::default(),
            runtime: RuntimeContainer {
                runtime_type,
                latency,
                address,
                simulation: Mutex::new(Some(simulation)),
                restarting: tokio::sync::Mutex::default(),
                restarts: AtomicUsize::default(),
            },
            worker: tokio::sync::Mutex::new(worker),
            variables,
            log,
            record: Mutex::new(record),
        })
    }

    /// Restarts the worker if it has exited, and kills it if it exceeds its grace period.
    pub(crate) async fn supervise_worker(&self) {
        let mut worker = self.worker.lock().await;
        if worker.try_wait().is_some() {
            self.record_exit(&mut worker).await;
            *worker = Process::start("worker", &self.variables);
            self.record().processes.push(WorkerProcess { exit: None });
        } else if self.is_overdue() {
            self.send(&worker, "KILL", ExitCause::Overdue);
        }
    }

    /// Where the present worker answers probes, once it does.
    pub(crate) async fn health_address(&self) -> Option<String> {
        let lines = self.worker.lock().await.lines_so_far();
        let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Some(lines.find(|line| line["message"] == "listening")?["address"].as_str()?.to_owned())
    }

    /// Kills the worker with `kill -9`.
    pub(crate) async fn kill_worker(&self) {
        self.send(&*self.worker.lock().await, "KILL", ExitCause::Killed);
    }

    /// Sends the worker SIGTERM.
    pub(crate) async fn stop_worker(&self) {
        self.send(&*self.worker.lock().await, "TERM", ExitCause::Stopped);
    }

    /// Kills the runtime, and starts it again on the same port after `downtime`.
    pub(crate) async fn restart_runtime(&self, downtime: Duration) -> Result<()> {
        let _guard = self.runtime.restarting.lock().await;
        self.record_prompts();
        let killed = self.simulation().take();
        if let Some(simulation) = killed {
            self.record().record_runs(&self.name, &simulation);
            simulation.stop().await;
        }
        tokio::time::sleep(downtime).await;
        let again = simulation(self.runtime.runtime_type, self.runtime.latency, self.runtime.address).await?;
        *self.simulation() = Some(again);
        self.runtime.restarts.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// When the run began that the runtime is working on.
    pub(crate) fn running_since(&self) -> Option<Instant> {
        self.simulation().as_ref()?.running().map(|(_, start)| start)
    }

    /// Plans a fault for the runtime.
    pub(crate) fn plan(&self, fault: Fault) {
        if let Some(simulation) = self.simulation().as_ref() {
            simulation.faults().plan(fault, 1);
        }
    }

    /// How often the runtime was restarted.
    pub(crate) fn runtime_restarts(&self) -> usize {
        self.runtime.restarts.load(Ordering::Relaxed)
    }

    /// How many processes of the worker there were.
    pub(crate) fn processes(&self) -> usize {
        self.record().processes.len()
    }

    /// Stops both containers for good and returns the record.
    pub(crate) async fn shut_down(&self) -> PodRecord {
        let mut worker = self.worker.lock().await;
        if worker.try_wait().is_none() {
            self.send(&worker, "TERM", ExitCause::Stopped);
        }
        self.record_exit(&mut worker).await;
        self.record_prompts();
        let simulation = self.simulation().take();
        if let Some(simulation) = simulation {
            self.record().record_runs(&self.name, &simulation);
        }
        std::mem::take(&mut *self.record())
    }

    fn send(&self, worker: &Process, signal: &str, cause: ExitCause) {
        self.record().expected_exit = Some((Instant::now(), cause));
        worker.signal(signal);
    }

    fn is_overdue(&self) -> bool {
        let record = self.record();
        record
            .expected_exit
            .as_ref()
            .is_some_and(|(since, cause)| *cause == ExitCause::Stopped && since.elapsed() > GRACE)
    }

    /// Records why a process exited, and stores its log.
    async fn record_exit(&self, worker: &mut Process) {
        let status = worker.exited().await;
        let mut record = self.record();
        let unexpected = || (Instant::now(), ExitCause::Unexpected(status.to_string()));
        let (at, cause) = record.expected_exit.take().unwrap_or_else(unexpected);
        if let Some(process) = record.processes.last_mut() {
            process.exit = Some((at, cause));
        }
        drop(record);
        let text = worker.lines().join("\n");
        let written = OpenOptions::new().create(true).append(true).open(&self.log);
        if let Err(error) = written.and_then(|mut log| writeln!(log, "{text}\n--- {status}")) {
            tracing::warn!(%error, pod = self.name, "the log is not stored");
        }
    }

    /// Records which prompt of ComfyUI belongs to which task.
    pub(crate) fn record_prompts(&self) {
        if self.runtime.runtime_type != "comfyui" {
            return;
        }
        let Some(requests) = self.simulation().as_ref().map(Simulation::requests) else { return };
        let prompts = requests.into_iter().filter(|request| request.path == "/prompt");
        for body in prompts.filter_map(|request| request.body) {
            let nodes = body["prompt"].as_object().into_iter().flatten();
            let task = nodes.into_iter().find_map(|(_, node)| node.pointer("/_meta/title")?.as_str());
            if let (Some(id), Some(task)) = (body["prompt_id"].as_str(), task) {
                self.record().tasks.insert(id.to_owned(), task.to_owned());
            }
        }
    }

    fn simulation(&self) -> MutexGuard<'_, Option<Simulation>> {
        self.runtime.simulation.lock().unwrap()
    }

    fn record(&self) -> MutexGuard<'_, PodRecord> {
        self.record.lock().unwrap()
    }
}

impl PodRecord {
    fn record_runs(&mut self, pod: &str, simulation: &Simulation) {
        let cut = simulation.running().map(|(label, start)| (label, start, Instant::now(), true));
        let completed = simulation.busy().into_iter();
        let completed = completed.map(|interval| (interval.label, interval.start, interval.end, false));
        let broken_since = simulation.faults().broken_since();
        // To wait for the end of orphaned runs the worker upscales one pixel, which belongs to no task.
        let of_tasks = completed.chain(cut).filter(|(label, ..)| label != "extra-single-image");
        for (label, start, end, is_cut) in of_tasks {
            let task = self.tasks.get(&label).cloned().unwrap_or(label);
            // One run at a time: the first that ends after the runtime broke is the first that failed of it.
            let met_broken = !is_cut && broken_since.is_some_and(|since| end >= since);
            self.runs.push(Run { pod: pod.to_owned(), task, start, end, is_cut, met_broken });
        }
    }
}

async fn simulation(
    runtime_type: &str,
    latency: Duration,
    listen: SocketAddr,
) -> Result<Simulation, simulated_runtimes::Error> {
    let behaviour = Behaviour { latency, predrawn: true, ..Behaviour::default() };
    match runtime_type {
        "comfyui" => {
            Simulation::start_comfyui(listen, ComfyUiOptions { behaviour, ..ComfyUiOptions::default() }).await
        }
        _ => {
            Simulation::start_sdwebui(listen, SdWebUiOptions { behaviour, ..SdWebUiOptions::default() }).await
        }
    }
}
