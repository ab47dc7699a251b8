//! Every metric of the worker in CloudWatch: its name, its unit, its meaning. `docs/observability.md` lists them. Those for Prometheus
//! are in [`super::metrics`], which counts both.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use task_metrics::{Document, Metric, Unit};

use super::Price;

/// More values than a worker observes between two reports; further ones are left out.
const MAX_VALUES: usize = 10_000;

const fn metric(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric { name, unit, dimensions: &["runtime"], help }
}

/// Messages received.
pub const TASKS_RECEIVED: Metric = metric("TasksReceived", Unit::Count, "messages received");
/// By outcome.
pub const TASKS_SUCCEEDED: Metric = metric("TasksSucceeded", Unit::Count, "tasks that succeeded");
/// By outcome.
pub const TASKS_FAILED: Metric = metric("TasksFailed", Unit::Count, "tasks that failed for good");
/// By outcome.
pub const TASKS_CANCELED: Metric = metric("TasksCanceled", Unit::Count, "tasks that their owner canceled");
/// By outcome.
pub const TASKS_EXPIRED: Metric = metric("TasksExpired", Unit::Count, "tasks that were received too late");
/// Failures that are not final.
pub const ATTEMPTS_FAILED: Metric =
    metric("AttemptsFailed", Unit::Count, "attempts that failed and will be retried");
/// Without an attempt.
pub const DELIVERIES_RELEASED: Metric =
    metric("DeliveriesReleased", Unit::Count, "deliveries released without a charged attempt");
/// Leases.
pub const LEASES_LOST: Metric =
    metric("LeasesLost", Unit::Count, "deliveries that another worker can have received");
/// Health of the runtime.
pub const RUNTIME_BROKEN: Metric = metric(
    "RuntimeBroken",
    Unit::Count,
    "how often a runtime was found broken, so that only a restart helps",
);
/// Bounds that were exceeded, and cancels.
pub const RUNS_INTERRUPTED: Metric =
    metric("RunsInterrupted", Unit::Count, "runs that were interrupted in the runtime");
/// Models.
pub const MODEL_SWITCHES: Metric =
    metric("ModelSwitches", Unit::Count, "runs that named another model than the run before them");
/// Results.
pub const IMAGES: Metric = metric("Images", Unit::Count, "images of tasks that succeeded");
/// The GPU.
pub const GPU_TIME: Metric = metric(
    "GpuTime",
    Unit::Seconds,
    "time in which the runtimes worked; divided by WorkerTime, the busy share",
);
/// The pods.
pub const WORKER_TIME: Metric =
    metric("WorkerTime", Unit::Seconds, "time in which workers existed, of all pods together");
/// Money.
pub const COST: Metric = metric(
    "Cost",
    Unit::None,
    "US dollars: WorkerTime at GPU_USD_PER_HOUR; divided by Images, the cost of an image with all idle time",
);
/// The fleet.
pub const WORKERS_READY: Metric =
    metric("WorkersReady", Unit::Count, "1 or 0 per pod and report: whether it receives messages");
/// The queue.
pub const QUEUE_AGE: Metric =
    metric("QueueAge", Unit::Seconds, "time from the submission of a task to each receipt of its message");
/// Stages.
pub const PREPARE_TIME: Metric =
    metric("PrepareTime", Unit::Seconds, "fetching and checking the inputs of a task");
/// Stages.
pub const RUN_TIME: Metric = metric("RunTime", Unit::Seconds, "the run of a task in the runtime");
/// Stages.
pub const STORE_TIME: Metric = metric("StoreTime", Unit::Seconds, "storing the results of a task");
/// Idle time.
pub const GPU_GAP: Metric =
    metric("GpuGap", Unit::Seconds, "idle time of a runtime between two runs, while tasks were available");
/// Cold starts.
pub const STARTUP_TIME: Metric = metric(
    "StartupTime",
    Unit::Seconds,
    "time from the start of a worker until its runtime is ready: a cold start",
);
/// Disk space.
pub const SCRATCH_FREE: Metric =
    metric("ScratchFree", Unit::Bytes, "free space of the runtime's scratch folder");

/// All of them.
pub const ALL: [Metric; 23] = [
    TASKS_RECEIVED,
    TASKS_SUCCEEDED,
    TASKS_FAILED,
    TASKS_CANCELED,
    TASKS_EXPIRED,
    ATTEMPTS_FAILED,
    DELIVERIES_RELEASED,
    LEASES_LOST,
    RUNTIME_BROKEN,
    RUNS_INTERRUPTED,
    MODEL_SWITCHES,
    IMAGES,
    GPU_TIME,
    WORKER_TIME,
    COST,
    WORKERS_READY,
    QUEUE_AGE,
    PREPARE_TIME,
    RUN_TIME,
    STORE_TIME,
    GPU_GAP,
    STARTUP_TIME,
    SCRATCH_FREE,
];

/// What has happened since the last report.
pub(super) struct Window {
    price: Option<Price>,
    state: Mutex<State>,
}

struct State {
    since: Instant,
    values: BTreeMap<&'static str, (Metric, Vec<f64>)>,
}

impl Window {
    /// Nothing happened yet.
    pub(super) fn new(price: Option<Price>) -> Self {
        Self { price, state: Mutex::new(State { since: Instant::now(), values: BTreeMap::new() }) }
    }

    /// Adds to the sum of a metric.
    pub(super) fn add(&self, metric: Metric, amount: f64) {
        self.with_values(metric, |values| match values.first_mut() {
            Some(sum) => *sum += amount,
            None => values.push(amount),
        });
    }

    /// Adds a value, of which CloudWatch computes percentiles.
    pub(super) fn observe(&self, metric: Metric, value: f64) {
        self.with_values(metric, |values| {
            if values.len() < MAX_VALUES {
                values.push(value);
            }
        });
    }

    /// Replaces the value.
    pub(super) fn set(&self, metric: Metric, value: f64) {
        self.with_values(metric, |values| *values = vec![value]);
    }

    fn with_values(&self, metric: Metric, change: impl FnOnce(&mut Vec<f64>)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut state.values.entry(metric.name).or_insert_with(|| (metric, Vec::new())).1);
    }

    /// Everything since the last report, with what passes by itself: the time, and the money. What did not happen is reported as 0:
    /// CloudWatch computes nothing from a metric without data.
    pub(super) fn report(&self, runtime_name: &str, is_ready: bool) -> Document {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, mut values) = (state.since, std::mem::take(&mut state.values));
        state.since = Instant::now();
        let elapsed = state.since - since;
        drop(state);
        let document = Document::new(vec![("runtime", runtime_name.to_owned())])
            .with(WORKERS_READY, vec![f64::from(u8::from(is_ready))])
            .with(WORKER_TIME, vec![elapsed.as_secs_f64()]);
        let document = match self.price {
            Some(price) => document.with(COST, vec![price.of(elapsed)]),
            None => document,
        };
        for metric in ALL.into_iter().filter(|metric| metric.unit == Unit::Count && *metric != WORKERS_READY)
        {
            values.entry(metric.name).or_insert_with(|| (metric, vec![0.0]));
        }
        values.into_values().fold(document, |document, (metric, values)| document.with(metric, values))
    }
}
