//! A pod: a worker and its runtime; and the diary of what became of them.

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

/// The pod's `terminationGracePeriodSeconds`: after that, a worker that was told to stop is killed.
pub(crate) const GRACE: Duration = Duration::from_secs(12);

/// A pod.
pub(crate) struct Pod {
    /// Its name, which is its worker's access key id, too.
    pub(crate) name: String,
    /// The URL of the queue that it works on.
    pub(crate) queue_url: String,
    /// Held while something is done to it: one thing at a time.
    pub(crate) disturbed: tokio::sync::Mutex<()>,
    runtime: RuntimeContainer,
    worker: tokio::sync::Mutex<Process>,
    variables: Vec<(String, String)>,
    log: PathBuf,
    diary: Mutex<Diary>,
}

struct RuntimeContainer {
    runtime_type: &'static str,
    latency: Duration,
    address: SocketAddr,
    simulation: Mutex<Option<Simulation>>,
    restarting: tokio::sync::Mutex<()>,
    restarts: AtomicUsize,
}

/// What became of a pod's containers.
#[derive(Default)]
pub(crate) struct Diary {
    /// The processes of the worker, in order.
    pub(crate) lives: Vec<Life>,
    /// What the runtime worked on.
    pub(crate) runs: Vec<Run>,
    /// The task of each prompt of ComfyUI.
    tasks: HashMap<String, String>,
    /// What is being done to the present process, and since when.
    fate: Option<(Instant, End)>,
}

/// A process of a worker.
pub(crate) struct Life {
    /// How it ended, unless it is alive.
    pub(crate) ended: Option<(Instant, End)>,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// By `kill -9`.
    Killed,
    /// By SIGTERM, within the grace period.
    Stopped,
    /// By `kill -9` after the grace period.
    Overdue,
    /// Nobody asked for it.
    Unexpected(String),
}

/// A time that the runtime gave to one task.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) pod: String,
    pub(crate) task: String,
    pub(crate) start: Instant,
    pub(crate) end: Instant,
    /// Ended by the death of the runtime.
    pub(crate) is_cut: bool,
    /// Failed since the runtime was broken.
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
        let diary = Diary { lives: vec![Life { ended: None }], ..Diary::default() };
        Ok(Self {
            name,
            queue_url,
            disturbed: tokio::sync::Mutex::default(),
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
            diary: Mutex::new(diary),
        })
    }

    /// Restarts the worker if it has ended, and kills it if it is long to do so.
    pub(crate) async fn look_after_worker(&self) {
        let mut worker = self.worker.lock().await;
        if worker.try_wait().is_some() {
            self.bury(&mut worker).await;
            *worker = Process::start("worker", &self.variables);
            self.diary().lives.push(Life { ended: None });
        } else if self.is_overdue() {
            self.end(&worker, "KILL", End::Overdue);
        }
    }

    /// Where the present worker answers probes, once it does.
    pub(crate) async fn health_address(&self) -> Option<String> {
        let lines = self.worker.lock().await.lines();
        let mut told = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        Some(told.find(|line| line["message"] == "listening")?["address"].as_str()?.to_owned())
    }

    /// Kills the worker with `kill -9`.
    pub(crate) async fn kill_worker(&self) {
        self.end(&*self.worker.lock().await, "KILL", End::Killed);
    }

    /// Sends the worker SIGTERM.
    pub(crate) async fn stop_worker(&self) {
        self.end(&*self.worker.lock().await, "TERM", End::Stopped);
    }

    /// Kills the runtime, and starts it again on the same port after `downtime`.
    pub(crate) async fn restart_runtime(&self, downtime: Duration) -> Result<()> {
        let _alone = self.runtime.restarting.lock().await;
        self.note_prompts();
        let killed = self.simulation().take();
        if let Some(simulation) = killed {
            self.diary().note_runs(&self.name, &simulation);
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
    pub(crate) fn lives(&self) -> usize {
        self.diary().lives.len()
    }

    /// Ends both containers for good and hands over the diary. Nobody keeps them alive any more.
    pub(crate) async fn end_for_good(&self) -> Diary {
        let mut worker = self.worker.lock().await;
        if worker.try_wait().is_none() {
            self.end(&worker, "TERM", End::Stopped);
        }
        self.bury(&mut worker).await;
        self.note_prompts();
        let simulation = self.simulation().take();
        if let Some(simulation) = simulation {
            self.diary().note_runs(&self.name, &simulation);
        }
        std::mem::take(&mut *self.diary())
    }

    fn end(&self, worker: &Process, signal: &str, end: End) {
        self.diary().fate = Some((Instant::now(), end));
        worker.signal(signal);
    }

    fn is_overdue(&self) -> bool {
        let diary = self.diary();
        diary.fate.as_ref().is_some_and(|(since, end)| *end == End::Stopped && since.elapsed() > GRACE)
    }

    /// Notes how a process ended, and keeps its log.
    async fn bury(&self, worker: &mut Process) {
        let status = worker.exited().await;
        let mut diary = self.diary();
        let unexpected = || (Instant::now(), End::Unexpected(status.to_string()));
        let (at, end) = diary.fate.take().unwrap_or_else(unexpected);
        if let Some(life) = diary.lives.last_mut() {
            life.ended = Some((at, end));
        }
        drop(diary);
        let text = worker.lines().join("\n");
        let written = OpenOptions::new().create(true).append(true).open(&self.log);
        if let Err(error) = written.and_then(|mut log| writeln!(log, "{text}\n--- {status}")) {
            tracing::warn!(%error, pod = self.name, "the log is not kept");
        }
    }

    /// Notes which prompt of ComfyUI belongs to which task.
    pub(crate) fn note_prompts(&self) {
        if self.runtime.runtime_type != "comfyui" {
            return;
        }
        let Some(requests) = self.simulation().as_ref().map(Simulation::requests) else { return };
        let prompts = requests.into_iter().filter(|request| request.path == "/prompt");
        for body in prompts.filter_map(|request| request.body) {
            let nodes = body["prompt"].as_object().into_iter().flatten();
            let task = nodes.into_iter().find_map(|(_, node)| node.pointer("/_meta/title")?.as_str());
            if let (Some(id), Some(task)) = (body["prompt_id"].as_str(), task) {
                self.diary().tasks.insert(id.to_owned(), task.to_owned());
            }
        }
    }

    fn simulation(&self) -> MutexGuard<'_, Option<Simulation>> {
        self.runtime.simulation.lock().unwrap()
    }

    fn diary(&self) -> MutexGuard<'_, Diary> {
        self.diary.lock().unwrap()
    }
}

impl Diary {
    fn note_runs(&mut self, pod: &str, simulation: &Simulation) {
        let cut = simulation.running().map(|(label, start)| (label, start, Instant::now(), true));
        let ended = simulation.busy().into_iter();
        let ended = ended.map(|interval| (interval.label, interval.start, interval.end, false));
        let broken_since = simulation.faults().broken_since();
        // To clear a runtime the worker lets it enlarge one pixel, which is nobody's task.
        let of_tasks = ended.chain(cut).filter(|(label, ..)| label != "extra-single-image");
        for (label, start, end, is_cut) in of_tasks {
            let task = self.tasks.get(&label).cloned().unwrap_or(label);
            // One run at a time: the first that ends after the runtime broke is the first that failed of it.
            let met_broken = !is_cut && broken_since.is_some_and(|since| end >= since);
            self.runs.push(Run { pod: pod.to_owned(), task, start, end, is_cut, met_broken });
        }
    }
}

async fn simulation(runtime_type: &str, latency: Duration, listen: SocketAddr) -> Result<Simulation> {
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
