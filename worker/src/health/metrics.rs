//! Every metric of the worker: its name, its unit, its labels. The README of this crate lists them.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use shared_schema::ErrorCode;

use super::Stage;

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
    /// Nothing done yet, beside the runtime of that name.
    pub(super) fn new(runtime_name: &str) -> Self {
        let labels = [("runtime".into(), runtime_name.to_owned().into())];
        let mut metrics = Self {
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
        let attempt = if charged_attempt <= 1 { "first" } else { "repeat" };
        self.received.get_or_create(&[("attempt", attempt)]).inc();
    }

    /// A task was completed: the status of its notification, and the code of its failure.
    pub fn completed(&self, task_status: &str, code: Option<ErrorCode>) {
        // An empty label is the same as none.
        let code = code.map_or("", ErrorCode::as_str);
        self.completed.get_or_create(&[("status", task_status.to_owned()), ("code", code.to_owned())]).inc();
    }

    /// A delivery was released, and no attempt charged.
    pub fn given_back(&self, reason: &'static str) {
        self.given_back.get_or_create(&[("reason", reason)]).inc();
    }

    /// An attempt failed and will be retried.
    pub fn retried(&self, code: ErrorCode) {
        self.attempts_failed.get_or_create(&[("code", code.as_str())]).inc();
    }

    /// A lease was lost.
    pub fn lease_lost(&self) {
        self.leases_lost.inc();
    }

    /// A task, or a poll of the queue, has passed that stage.
    pub fn stage(&self, stage: Stage, took: Duration) {
        self.stages.get_or_create(&[("stage", stage.as_str())]).observe(took.as_secs_f64());
    }

    /// The runtime worked that long on a run.
    pub fn gpu_busy(&self, worked: Duration, succeeded: bool) {
        let result = if succeeded { "succeeded" } else { "failed" };
        self.gpu_busy.get_or_create(&[("result", result)]).inc_by(worked.as_secs_f64());
    }

    /// A task yielded so many images.
    pub fn images(&self, count: usize) {
        self.images.inc_by(count as u64);
    }

    /// The runtime was idle that long while a task was available.
    pub fn gpu_gap(&self, gap: Duration) {
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
        self.interrupted.get_or_create(&[("reason", reason)]).inc();
    }

    /// The runtime was found broken.
    pub fn runtime_broke(&self, sign: BrokenSign) {
        self.broken.get_or_create(&[("sign", sign.as_str())]).inc();
    }

    /// That many bytes are left in the runtime's scratch folder.
    pub fn scratch_free(&self, bytes: u64) {
        self.scratch_free.get_or_create(&[]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets the gauges to the current state.
    pub(super) fn update_gauges(&self, ready: bool, runtime_alive: bool, tasks_inside: u32) {
        self.ready.set(ready.into());
        self.runtime_alive.set(runtime_alive.into());
        self.in_flight.set(tasks_inside.into());
    }

    /// Everything, as [`CONTENT_TYPE`].
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Only the writer can fail, and a string takes everything.
        let _ = text::encode(&mut text, &self.registry);
        text
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
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Metrics with one event of each kind.
    fn all_seen() -> Metrics {
        let metrics = Metrics::new("sdruntime");
        metrics.received(1, Duration::from_secs(2));
        metrics.completed("succeeded", None);
        metrics.completed("failed", Some(ErrorCode::RunTimeout));
        metrics.given_back("stopping");
        metrics.retried(ErrorCode::RuntimeStuck);
        metrics.runtime_interrupted("timeout");
        metrics.scratch_free(1);
        metrics
    }

    /// Name, type and labels of each metric that a scraper sees.
    fn scraped(text: &str) -> BTreeSet<(String, String, String)> {
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        types
            .map(|(name, kind)| {
                let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
                let sample = text.lines().find(|line| line.starts_with(&name)).unwrap();
                let labels = sample.split_once('{').unwrap().1.split_once('}').unwrap().0;
                let own = labels.split(',').filter_map(|label| label.split('=').next());
                let own: Vec<String> = own
                    .filter(|label| !["runtime", "le"].contains(label))
                    .map(|label| format!("`{label}`"))
                    .collect();
                (name, kind.to_owned(), own.join(", "))
            })
            .collect()
    }

    #[test]
    fn the_readme_lists_every_metric_with_its_type_and_labels() {
        let rows = include_str!("../../README.md").lines().filter(|line| line.contains("<!--metric-->"));
        let listed: BTreeSet<(String, String, String)> = rows
            .map(|row| {
                let cells: Vec<&str> = row.split('|').map(str::trim).collect();
                let name = cells[1].split('`').nth(1).unwrap();
                (name.to_owned(), cells[2].to_owned(), cells[3].to_owned())
            })
            .collect();
        assert_eq!(listed, scraped(&all_seen().text()));
    }

    #[test]
    fn what_happens_is_counted_under_the_runtimes_name() {
        let metrics = all_seen();
        metrics.received(2, Duration::ZERO);
        metrics.received(3, Duration::ZERO);
        metrics.gpu_busy(Duration::from_millis(1500), true);
        metrics.images(2);
        metrics.bytes_in(10);
        metrics.gpu_gap(Duration::from_millis(3));
        let text = metrics.text();
        for line in [
            r#"darkroom_worker_tasks_received_total{runtime="sdruntime",attempt="repeat"} 2"#,
            r#"darkroom_worker_tasks_ended_total{runtime="sdruntime",status="failed",code="run_timeout"} 1"#,
            r#"darkroom_worker_attempts_failed_total{runtime="sdruntime",code="runtime_stuck"} 1"#,
            r#"darkroom_worker_queue_age_seconds_bucket{runtime="sdruntime",le="1.0"} 2"#,
            r#"darkroom_worker_gpu_busy_seconds_total{runtime="sdruntime",result="succeeded"} 1.5"#,
            r#"darkroom_worker_images_total{runtime="sdruntime"} 2"#,
            r#"darkroom_worker_input_bytes_total{runtime="sdruntime"} 10"#,
            r#"darkroom_worker_gpu_gap_seconds_bucket{runtime="sdruntime",le="0.005"} 1"#,
            r#"darkroom_worker_stage_seconds_count{runtime="sdruntime",stage="commit"} 0"#,
        ] {
            assert!(text.lines().any(|said| said == line), "{line} is not in:\n{text}");
        }
    }
}
