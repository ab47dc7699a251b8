//! What a worker counts: each event for Prometheus (`series`), and for CloudWatch if the worker reports there (`window`).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared_schema::ErrorCode;
use task_metrics::{Document, Metric};

use super::series::Series;
use super::window::Window;
use super::{BrokenSign, Price, Stage, cloudwatch};

/// The media type of [`Metrics::text`] (OpenMetrics 1.0, section "Content negotiation").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What one worker has done since it started.
pub struct Metrics {
    runtime_name: String,
    price: Option<Price>,
    /// Nothing unless the worker reports to CloudWatch.
    window: Option<Window>,
    /// The models that the last run named, if it named any.
    last_models: Mutex<Vec<String>>,
    /// Until when the time and the cost are counted.
    counted_until: Mutex<Instant>,
    series: Series,
}

impl Metrics {
    /// Nothing done yet, beside the runtime of that name, on an instance of that price.
    pub(super) fn new(runtime_name: &str, price: Option<Price>, reports: bool) -> Self {
        Self {
            runtime_name: runtime_name.to_owned(),
            price,
            window: reports.then(|| Window::new(price)),
            last_models: Mutex::default(),
            counted_until: Mutex::new(Instant::now()),
            series: Series::new(runtime_name),
        }
    }

    /// A message was received that was sent so long ago; `charged_attempt` counts from 1.
    pub fn received(&self, charged_attempt: u32, age: Duration) {
        self.series.queue_age.observe(age.as_secs_f64());
        self.observe(cloudwatch::QUEUE_AGE, age);
        self.add(cloudwatch::TASKS_RECEIVED, 1.0);
        let attempt = if charged_attempt <= 1 { "first" } else { "repeat" };
        self.series.received.get_or_create(&[("attempt", attempt)]).inc();
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
        self.series
            .completed
            .get_or_create(&[("status", task_status.to_owned()), ("code", code.to_owned())])
            .inc();
    }

    /// A delivery was released, and no attempt charged.
    pub fn given_back(&self, reason: &'static str) {
        self.add(cloudwatch::DELIVERIES_RELEASED, 1.0);
        self.series.given_back.get_or_create(&[("reason", reason)]).inc();
    }

    /// An attempt failed and will be retried.
    pub fn retried(&self, code: ErrorCode) {
        self.add(cloudwatch::ATTEMPTS_FAILED, 1.0);
        self.series.attempts_failed.get_or_create(&[("code", code.as_str())]).inc();
    }

    /// A lease was lost.
    pub fn lease_lost(&self) {
        self.add(cloudwatch::LEASES_LOST, 1.0);
        self.series.leases_lost.inc();
    }

    /// A task, or a poll of the queue, has passed that stage.
    pub fn stage(&self, stage: Stage, took: Duration) {
        match stage {
            Stage::Prepare => self.observe(cloudwatch::PREPARE_TIME, took),
            Stage::Run => self.observe(cloudwatch::RUN_TIME, took),
            Stage::Store => self.observe(cloudwatch::STORE_TIME, took),
            Stage::Receive | Stage::Wait | Stage::Commit | Stage::Notify => {}
        }
        self.series.stages.get_or_create(&[("stage", stage.as_str())]).observe(took.as_secs_f64());
    }

    /// The runtime worked that long on a run.
    pub fn gpu_busy(&self, worked: Duration, succeeded: bool) {
        let result = if succeeded { "succeeded" } else { "failed" };
        self.add(cloudwatch::GPU_TIME, worked.as_secs_f64());
        self.series.gpu_busy.get_or_create(&[("result", result)]).inc_by(worked.as_secs_f64());
    }

    /// A run named these models; a run that names none uses those that are loaded.
    pub fn run_named(&self, models: Vec<String>) {
        if models.is_empty() {
            return;
        }
        let mut last = self.last_models.lock().unwrap_or_else(PoisonError::into_inner);
        if !last.is_empty() && *last != models {
            self.series.model_switches.inc();
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
        self.series.images.inc_by(count as u64);
        self.add(cloudwatch::IMAGES, count as f64);
    }

    /// The runtime was idle that long while a task was available.
    pub fn gpu_gap(&self, gap: Duration) {
        self.observe(cloudwatch::GPU_GAP, gap);
        self.series.gpu_gaps.observe(gap.as_secs_f64());
    }

    /// That many bytes of inputs were fetched.
    pub fn bytes_in(&self, bytes: u64) {
        self.series.input_bytes.inc_by(bytes);
    }

    /// That many bytes of results were stored.
    pub fn bytes_out(&self, bytes: u64) {
        self.series.output_bytes.inc_by(bytes);
    }

    /// A committed task was notified again.
    pub fn renotified(&self) {
        self.series.renotified.inc();
    }

    /// A run was interrupted in the runtime.
    pub fn runtime_interrupted(&self, reason: &'static str) {
        self.add(cloudwatch::RUNS_INTERRUPTED, 1.0);
        self.series.interrupted.get_or_create(&[("reason", reason)]).inc();
    }

    /// The runtime was found broken.
    pub fn runtime_broke(&self, sign: BrokenSign) {
        self.add(cloudwatch::RUNTIME_BROKEN, 1.0);
        self.series.broken.get_or_create(&[("sign", sign.as_str())]).inc();
    }

    /// That many bytes are left in the runtime's scratch folder.
    pub fn scratch_free(&self, bytes: u64) {
        if let Some(window) = &self.window {
            window.set(cloudwatch::SCRATCH_FREE, bytes as f64);
        }
        self.series.scratch_free.get_or_create(&[]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Sets the gauges to the current state.
    pub(super) fn update_gauges(&self, ready: bool, runtime_alive: bool, tasks_inside: u32) {
        self.series.ready.set(ready.into());
        self.series.runtime_alive.set(runtime_alive.into());
        self.series.in_flight.set(tasks_inside.into());
    }

    /// Counts the time until now, and what it cost.
    fn count_time(&self) {
        let mut until = self.counted_until.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = until.elapsed();
        *until += passed;
        self.series.uptime.inc_by(passed.as_secs_f64());
        if let Some(price) = self.price {
            self.series.cost.get_or_create(&[]).inc_by(price.of(passed));
        }
    }

    /// Everything, as [`CONTENT_TYPE`].
    pub fn text(&self) -> String {
        self.count_time();
        self.series.text()
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

#[cfg(test)]
mod tests;
