//! Every metric of the worker for Prometheus: its name, its unit, its labels. The README of this crate lists them. Each event is also
//! counted for CloudWatch ([`super::cloudwatch`]), if the worker reports there.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use shared_schema::ErrorCode;
use task_metrics::{Document, Metric};

use super::cloudwatch::{self, Window};
use super::{Price, Stage};

/// The media type of [`Metrics::text`] (OpenMetrics 1.0, section "Content negotiation").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// One label with a value that comes from this program, never from a caller: the number of series is bounded.
type Label = [(&'static str, &'static str); 1];

/// A counter for each value of a label.
type ByLabel = Family<Label, Counter>;

/// How a runtime was found broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BrokenSign {
    /// By its error text.
    Words,
    /// By a check with the known-good task.
    Check,
}

impl BrokenSign {
    const ALL: [Self; 2] = [Self::Words, Self::Check];

    /// The value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Check => "check",
        }
    }
}

/// What one worker has done since it started.
pub struct Metrics {
    runtime_name: String,
    price: Option<Price>,
    /// Nothing unless the worker reports to CloudWatch.
    window: Option<Window>,
    registry: Registry,
    received: ByLabel,
    completed: Family<[(&'static str, String); 2], Counter>,
    given_back: ByLabel,
    attempts_failed: ByLabel,
    leases_lost: Counter,
    queue_age: Histogram,
    stages: Family<Label, Histogram, fn() -> Histogram>,
    gpu_busy: Family<Label, Counter<f64, AtomicU64>>,
    gpu_gaps: Histogram,
    in_flight: Gauge,
    model_switches: Counter,
    /// The models that the last run named, if it named any.
    last_models: Mutex<Vec<String>>,
    /// Until when the time and the cost are counted.
    counted_until: Mutex<Instant>,
    uptime: Counter<f64, AtomicU64>,
    /// No series without a price.
    cost: Family<[(&'static str, &'static str); 0], Counter<f64, AtomicU64>>,
    images: Counter,
    input_bytes: Counter,
    output_bytes: Counter,
    renotified: Counter,
    interrupted: ByLabel,
    broken: ByLabel,
    /// No series without a scratch folder.
    scratch_free: Family<[(&'static str, &'static str); 0], Gauge>,
    ready: Gauge,
    runtime_alive: Gauge,
}

impl Metrics {
    /// Nothing done yet, beside the runtime of that name, on an instance of that price.
    pub(super) fn new(runtime_name: &str, price: Option<Price>, reports: bool) -> Self {
        let labels = [("runtime".into(), runtime_name.to_owned().into())];
        let mut metrics = Self {
            runtime_name: runtime_name.to_owned(),
            price,
            window: reports.then(|| Window::new(price)),
            registry: Registry::with_prefix_and_labels("darkroom_worker", labels.into_iter()),
            received: Family::default(),
            completed: Family::default(),
            given_back: Family::default(),
            attempts_failed: Family::default(),
            leases_lost: Counter::default(),
            queue_age: Histogram::new([
                0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 43_200.0,
            ]),
            stages: Family::new_with_constructor(stage_histogram),
            gpu_busy: Family::default(),
            gpu_gaps: Histogram::new([
                0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0,
            ]),
            in_flight: Gauge::default(),
            model_switches: Counter::default(),
            last_models: Mutex::default(),
            counted_until: Mutex::new(Instant::now()),
            uptime: Counter::default(),
            cost: Family::default(),
            images: Counter::default(),
            input_bytes: Counter::default(),
            output_bytes: Counter::default(),
            renotified: Counter::default(),
            interrupted: Family::default(),
            broken: Family::default(),
            scratch_free: Family::default(),
            ready: Gauge::default(),
            runtime_alive: Gauge::default(),
        };
        metrics.register();
        metrics.begin();
        metrics
    }

    /// The library appends the unit, and `_total` to counters.
    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("tasks_received", "Messages received", self.received.clone());
        registry.register("tasks_ended", "Tasks that got their result here", self.completed.clone());
        registry.register(
            "tasks_given_back",
            "Deliveries released without a charged attempt",
            self.given_back.clone(),
        );
        registry.register(
            "attempts_failed",
            "Attempts that failed and will be retried",
            self.attempts_failed.clone(),
        );
        registry.register(
            "leases_lost",
            "Deliveries that another worker can have received",
            self.leases_lost.clone(),
        );
        registry.register_with_unit(
            "queue_age",
            "Time from the submission of a task to each receipt of its message",
            Unit::Seconds,
            self.queue_age.clone(),
        );
        registry.register_with_unit(
            "stage",
            "Duration of each stage of a task",
            Unit::Seconds,
            self.stages.clone(),
        );
        registry.register_with_unit(
            "gpu_busy",
            "Time in which the runtime worked on runs that have ended",
            Unit::Seconds,
            self.gpu_busy.clone(),
        );
        registry.register_with_unit(
            "gpu_gap",
            "Idle time of the runtime between two runs, while tasks were available",
            Unit::Seconds,
            self.gpu_gaps.clone(),
        );
        registry.register(
            "tasks_inside",
            "Tasks that are staged, running or being stored",
            self.in_flight.clone(),
        );
        registry.register(
            "model_switches",
            "Runs that named another model than the run before them",
            self.model_switches.clone(),
        );
        registry.register_with_unit(
            "uptime",
            "Time since the start of the worker",
            Unit::Seconds,
            self.uptime.clone(),
        );
        registry.register(
            "cost_usd",
            "That time at the price of the instance, in US dollars",
            self.cost.clone(),
        );
        registry.register("images", "Images of tasks that succeeded", self.images.clone());
        registry.register_with_unit("input", "Inputs fetched", Unit::Bytes, self.input_bytes.clone());
        registry.register_with_unit("output", "Results stored", Unit::Bytes, self.output_bytes.clone());
        registry.register(
            "notifications_repeated",
            "Notifications of a task whose result had been stored before",
            self.renotified.clone(),
        );
        registry.register(
            "runs_interrupted",
            "Runs that were interrupted in the runtime",
            self.interrupted.clone(),
        );
        registry.register(
            "runtime_broken",
            "How often the runtime was found broken, so that only a restart helps",
            self.broken.clone(),
        );
        registry.register_with_unit(
            "scratch_free",
            "Free space of the scratch folder",
            Unit::Bytes,
            self.scratch_free.clone(),
        );
        registry.register("ready", "Whether messages are received (1) or not (0)", self.ready.clone());
        registry.register(
            "runtime_alive",
            "Whether the runtime can work without a restart (1) or not (0)",
            self.runtime_alive.clone(),
        );
    }

    /// Series whose labels are known begin at zero, so that the first event is an increase.
    fn begin(&self) {
        for attempt in ["first", "repeat"] {
            drop(self.received.get_or_create(&[("attempt", attempt)]));
        }
        for result in ["succeeded", "failed"] {
            drop(self.gpu_busy.get_or_create(&[("result", result)]));
        }
        for sign in BrokenSign::ALL {
            drop(self.broken.get_or_create(&[("sign", sign.as_str())]));
        }
        for stage in Stage::ALL {
            drop(self.stages.get_or_create(&[("stage", stage.as_str())]));
        }
    }

    /// A message was received that was sent so long ago; `charged_attempt` counts from 1.
    pub fn received(&self, charged_attempt: u32, age: Duration) {
        self.queue_age.observe(age.as_secs_f64());
        self.observe(cloudwatch::QUEUE_AGE, age);
        self.add(cloudwatch::TASKS_RECEIVED, 1.0);
        let attempt = if charged_attempt <= 1 { "first" } else { "repeat" };
        self.received.get_or_create(&[("attempt", attempt)]).inc();
    }

    /// A task was completed: the status of its notification, and the code of its failure.
    pub fn completed(&self, task_status: &str, code: Option<ErrorCode>) {
        match task_status {
            "succeeded" => self.add(cloudwatch::TASKS_SUCCEEDED, 1.0),
            "canceled" => self.add(cloudwatch::TASKS_CANCELED, 1.0),
            "expired" => self.add(cloudwatch::TASKS_EXPIRED, 1.0),
            _ => self.add(cloudwatch::TASKS_FAILED, 1.0),
        }
        // An empty label is the same as none.
        let code = code.map_or("", ErrorCode::as_str);
        self.completed.get_or_create(&[("status", task_status.to_owned()), ("code", code.to_owned())]).inc();
    }

    /// A delivery was released, and no attempt charged.
    pub fn given_back(&self, reason: &'static str) {
        self.add(cloudwatch::DELIVERIES_RELEASED, 1.0);
        self.given_back.get_or_create(&[("reason", reason)]).inc();
    }

    /// An attempt failed and will be retried.
    pub fn retried(&self, code: ErrorCode) {
        self.add(cloudwatch::ATTEMPTS_FAILED, 1.0);
        self.attempts_failed.get_or_create(&[("code", code.as_str())]).inc();
    }

    /// A lease was lost.
    pub fn lease_lost(&self) {
        self.add(cloudwatch::LEASES_LOST, 1.0);
        self.leases_lost.inc();
    }

    /// A task, or a poll of the queue, has passed that stage.
    pub fn stage(&self, stage: Stage, took: Duration) {
        match stage {
            Stage::Prepare => self.observe(cloudwatch::PREPARE_TIME, took),
            Stage::Run => self.observe(cloudwatch::RUN_TIME, took),
            Stage::Store => self.observe(cloudwatch::STORE_TIME, took),
            Stage::Receive | Stage::Wait | Stage::Commit | Stage::Notify => {}
        }
        self.stages.get_or_create(&[("stage", stage.as_str())]).observe(took.as_secs_f64());
    }

    /// The runtime worked that long on a run.
    pub fn gpu_busy(&self, worked: Duration, succeeded: bool) {
        let result = if succeeded { "succeeded" } else { "failed" };
        self.add(cloudwatch::GPU_TIME, worked.as_secs_f64());
        self.gpu_busy.get_or_create(&[("result", result)]).inc_by(worked.as_secs_f64());
    }

    /// A run named these models; a run that names none uses those that are loaded.
    pub fn run_named(&self, models: Vec<String>) {
        if models.is_empty() {
            return;
        }
        let mut last = self.last_models.lock().unwrap_or_else(PoisonError::into_inner);
        if !last.is_empty() && *last != models {
            self.model_switches.inc();
            self.add(cloudwatch::MODEL_SWITCHES, 1.0);
        }
        *last = models;
    }

    /// The runtime became ready that long after the start of the worker, for the first time.
    pub fn started(&self, took: Duration) {
        self.observe(cloudwatch::STARTUP_TIME, took);
    }

    /// A task yielded so many images.
    pub fn images(&self, count: usize) {
        self.images.inc_by(count as u64);
        self.add(cloudwatch::IMAGES, count as f64);
    }

    /// The runtime was idle that long while a task was available.
    pub fn gpu_gap(&self, gap: Duration) {
        self.observe(cloudwatch::GPU_GAP, gap);
        self.gpu_gaps.observe(gap.as_secs_f64());
    }

    /// That many bytes of inputs were fetched.
    pub fn bytes_in(&self, bytes: u64) {
        self.input_bytes.inc_by(bytes);
    }

    /// That many bytes of results were stored.
    pub fn bytes_out(&self, bytes: u64) {
        self.output_bytes.inc_by(bytes);
    }

    /// A committed task was notified again.
    pub fn renotified(&self) {
        self.renotified.inc();
    }

    /// A run was interrupted in the runtime.
    pub fn runtime_interrupted(&self, reason: &'static str) {
        self.add(cloudwatch::RUNS_INTERRUPTED, 1.0);
        self.interrupted.get_or_create(&[("reason", reason)]).inc();
    }

    /// The runtime was found broken.
    pub fn runtime_broke(&self, sign: BrokenSign) {
        self.add(cloudwatch::RUNTIME_BROKEN, 1.0);
        self.broken.get_or_create(&[("sign", sign.as_str())]).inc();
    }

    /// That many bytes are left in the runtime's scratch folder.
    pub fn scratch_free(&self, bytes: u64) {
        if let Some(window) = &self.window {
            window.set(cloudwatch::SCRATCH_FREE, bytes as f64);
        }
        self.scratch_free.get_or_create(&[]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets the gauges to the current state.
    pub(super) fn update_gauges(&self, ready: bool, runtime_alive: bool, tasks_inside: u32) {
        self.ready.set(ready.into());
        self.runtime_alive.set(runtime_alive.into());
        self.in_flight.set(tasks_inside.into());
    }

    /// Counts the time until now, and what it cost.
    fn count_time(&self) {
        let mut until = self.counted_until.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = until.elapsed();
        *until += passed;
        self.uptime.inc_by(passed.as_secs_f64());
        if let Some(price) = self.price {
            self.cost.get_or_create(&[]).inc_by(price.of(passed));
        }
    }

    /// Everything, as [`CONTENT_TYPE`].
    pub fn text(&self) -> String {
        self.count_time();
        let mut text = String::new();
        // Only the writer can fail, and a string takes everything.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

/// For CloudWatch.
impl Metrics {
    /// What has happened since the last report; nothing if the worker does not report.
    pub(super) fn report(&self, is_ready: bool) -> Option<Document> {
        self.window.as_ref().map(|window| window.report(&self.runtime_name, is_ready))
    }

    fn add(&self, metric: Metric, amount: f64) {
        if let Some(window) = &self.window {
            window.add(metric, amount);
        }
    }

    fn observe(&self, metric: Metric, duration: Duration) {
        if let Some(window) = &self.window {
            window.observe(metric, duration.as_secs_f64());
        }
    }
}

/// From an upload to the longest runs.
fn stage_histogram() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
        1800.0,
    ])
}

#[cfg(test)]
mod tests;
