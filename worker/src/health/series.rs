//! Every metric of the worker for Prometheus: its name, its unit, its labels. The README of this crate lists them. Those for CloudWatch are
//! in [`super::cloudwatch`].

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{BrokenSign, Stage};

/// One label with a value that comes from this program, never from a caller: the number of series is bounded.
type Label = [(&'static str, &'static str); 1];

/// A counter for each value of a label.
type ByLabel = Family<Label, Counter>;

/// The series of one worker.
pub(super) struct Series {
    registry: Registry,
    pub(super) received: ByLabel,
    pub(super) completed: Family<[(&'static str, String); 2], Counter>,
    pub(super) given_back: ByLabel,
    pub(super) attempts_failed: ByLabel,
    pub(super) leases_lost: Counter,
    pub(super) queue_age: Histogram,
    pub(super) stages: Family<Label, Histogram, fn() -> Histogram>,
    pub(super) gpu_busy: Family<Label, Counter<f64, AtomicU64>>,
    pub(super) gpu_gaps: Histogram,
    pub(super) in_flight: Gauge,
    pub(super) model_switches: Counter,
    pub(super) uptime: Counter<f64, AtomicU64>,
    /// No series without a price.
    pub(super) cost: Family<[(&'static str, &'static str); 0], Counter<f64, AtomicU64>>,
    pub(super) images: Counter,
    pub(super) input_bytes: Counter,
    pub(super) output_bytes: Counter,
    pub(super) renotified: Counter,
    pub(super) interrupted: ByLabel,
    pub(super) broken: ByLabel,
    /// No series without a scratch folder.
    pub(super) scratch_free: Family<[(&'static str, &'static str); 0], Gauge>,
    pub(super) ready: Gauge,
    pub(super) runtime_alive: Gauge,
}

impl Series {
    /// Nothing done yet, beside the runtime of that name.
    pub(super) fn new(runtime_name: &str) -> Self {
        let labels = [("runtime".into(), runtime_name.to_owned().into())];
        let mut series = Self {
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
        series.register();
        series.begin();
        series
    }

    /// All of them, as [`super::metrics::CONTENT_TYPE`].
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Only the writer can fail, and a string takes everything.
        let _ = text::encode(&mut text, &self.registry);
        text
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
}

/// From an upload to the longest runs.
fn stage_histogram() -> Histogram {
    Histogram::new([
        0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0,
        1800.0,
    ])
}
