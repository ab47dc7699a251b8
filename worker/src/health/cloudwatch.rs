//! Every metric of the worker in CloudWatch: its name, its unit, its meaning. `docs/observability.md` lists them. Those for Prometheus
//! are in `series`.

use task_metrics::{Metric, Unit};

const fn metric(name: &'static str, unit: Unit, help: &'static str) -> Metric {
    Metric { name, unit, dimensions: &["runtime"], help }
}

pub(super) const TASKS_RECEIVED: Metric = metric("TasksReceived", Unit::Count, "messages received");
pub(super) const TASKS_SUCCEEDED: Metric = metric("TasksSucceeded", Unit::Count, "tasks that succeeded");
pub(super) const TASKS_FAILED: Metric = metric("TasksFailed", Unit::Count, "tasks that failed for good");
pub(super) const TASKS_CANCELED: Metric =
    metric("TasksCanceled", Unit::Count, "tasks that their owner canceled");
pub(super) const TASKS_EXPIRED: Metric =
    metric("TasksExpired", Unit::Count, "tasks that were received too late");
pub(super) const ATTEMPTS_FAILED: Metric =
    metric("AttemptsFailed", Unit::Count, "attempts that failed and will be retried");
pub(super) const DELIVERIES_RELEASED: Metric =
    metric("DeliveriesReleased", Unit::Count, "deliveries released without a charged attempt");
pub(super) const LEASES_LOST: Metric =
    metric("LeasesLost", Unit::Count, "deliveries that another worker can have received");
pub(super) const RUNTIME_BROKEN: Metric = metric(
    "RuntimeBroken",
    Unit::Count,
    "how often a runtime was found broken, so that only a restart helps",
);
pub(super) const RUNS_INTERRUPTED: Metric =
    metric("RunsInterrupted", Unit::Count, "runs that were interrupted in the runtime");
pub(super) const MODEL_SWITCHES: Metric =
    metric("ModelSwitches", Unit::Count, "runs that named another model than the run before them");
pub(super) const IMAGES: Metric = metric("Images", Unit::Count, "images of tasks that succeeded");
pub(super) const GPU_TIME: Metric = metric(
    "GpuTime",
    Unit::Seconds,
    "time in which the runtimes worked; divided by WorkerTime, the busy share",
);
pub(super) const WORKER_TIME: Metric =
    metric("WorkerTime", Unit::Seconds, "time in which workers existed, of all pods together");
pub(super) const COST: Metric = metric(
    "Cost",
    Unit::None,
    "US dollars: WorkerTime at GPU_USD_PER_HOUR; divided by Images, the cost of an image with all idle time",
);
pub(super) const WORKERS_READY: Metric =
    metric("WorkersReady", Unit::Count, "1 or 0 per pod and report: whether it receives messages");
pub(super) const QUEUE_AGE: Metric =
    metric("QueueAge", Unit::Seconds, "time from the submission of a task to each receipt of its message");
pub(super) const PREPARE_TIME: Metric =
    metric("PrepareTime", Unit::Seconds, "fetching and checking the inputs of a task");
pub(super) const RUN_TIME: Metric = metric("RunTime", Unit::Seconds, "the run of a task in the runtime");
pub(super) const STORE_TIME: Metric = metric("StoreTime", Unit::Seconds, "storing the results of a task");
pub(super) const GPU_GAP: Metric =
    metric("GpuGap", Unit::Seconds, "idle time of a runtime between two runs, while tasks were available");
pub(super) const STARTUP_TIME: Metric = metric(
    "StartupTime",
    Unit::Seconds,
    "time from the start of a worker until its runtime is ready: a cold start",
);
pub(super) const SCRATCH_FREE: Metric =
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
