//! Liveness, readiness and metrics of the worker.
//!
//! The worker writes [`HealthState`], the port reads it. Neither waits for the other.

mod broken_sign;
pub mod cloudwatch;
pub mod metrics;
pub mod port;
pub mod price;
mod series;
pub mod stage;
mod window;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use task_metrics::Document;
use tokio::sync::watch;

pub use broken_sign::BrokenSign;
pub use metrics::Metrics;
pub use port::{HealthListen, PortError, serve};
pub use price::Price;
pub use stage::Stage;

/// How long the main loop may send no heartbeat before the worker counts as hung: longer than its longest round, with a poll that
/// SQS does not answer.
pub const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(180);

/// The state of one worker, shared by the modules that report and by the port.
pub struct HealthState {
    ready: AtomicBool,
    /// Why only a restart of the runtime helps, if that is so.
    runtime: Mutex<ProbeResult>,
    has_space: AtomicBool,
    stopping: AtomicBool,
    tasks_inside: watch::Sender<u32>,
    started: Instant,
    /// Milliseconds after `started`; 0 before the first heartbeat.
    last_heartbeat: AtomicU64,
    metrics: Metrics,
}

/// The answer to a probe: healthy, or the reason, as one identifier.
pub type ProbeResult = Result<(), &'static str>;

impl HealthState {
    /// The state of a worker that has just started: not ready, with a runtime that is assumed to be alive. `price` is that of the
    /// instance; with `reports`, metrics are also counted for CloudWatch.
    pub fn new(runtime_name: &str, price: Option<Price>, reports: bool) -> Arc<Self> {
        let health = Self {
            ready: AtomicBool::new(false),
            runtime: Mutex::new(Ok(())),
            has_space: AtomicBool::new(true),
            stopping: AtomicBool::new(false),
            tasks_inside: watch::Sender::new(0),
            started: Instant::now(),
            last_heartbeat: AtomicU64::new(0),
            metrics: Metrics::new(runtime_name, price, reports),
        };
        health.update_gauges();
        Arc::new(health)
    }

    /// Whether the runtime is ready and messages are received.
    pub fn set_ready(&self, is: bool) {
        self.ready.store(is, Ordering::Relaxed);
        self.update_gauges();
    }

    /// `Err` when only a restart of the runtime helps: `runtime_stuck` or `runtime_broken`.
    pub fn set_runtime(&self, verdict: ProbeResult) {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner) = verdict;
        self.update_gauges();
    }

    /// Whether the runtime's scratch folder has space for further runs.
    pub fn set_has_space(&self, is_there: bool) {
        self.has_space.store(is_there, Ordering::Relaxed);
        self.update_gauges();
    }

    /// Whether that was so when it was measured last.
    pub fn has_space(&self) -> bool {
        self.has_space.load(Ordering::Relaxed)
    }

    /// Graceful shutdown has started: the worker does not become ready any more.
    pub fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.update_gauges();
    }

    /// A task is inside (staged, running or being stored) for as long as the result lives.
    pub fn enter(&self) -> TaskGuard<'_> {
        self.tasks_inside.send_modify(|count| *count += 1);
        self.update_gauges();
        TaskGuard(self)
    }

    /// How many tasks are inside.
    pub fn tasks_inside(&self) -> watch::Receiver<u32> {
        self.tasks_inside.subscribe()
    }

    /// The main loop has completed another round. After the first heartbeat one is due every [`HEARTBEAT_TIMEOUT`], also
    /// while a task runs.
    pub fn heartbeat(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_heartbeat.store(now.max(1), Ordering::Relaxed);
    }

    /// What has been done so far.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the worker itself works. During graceful shutdown the loop has finished, and the grace period is the bound.
    pub fn liveness(&self) -> ProbeResult {
        self.liveness_at(Instant::now())
    }

    fn liveness_at(&self, now: Instant) -> ProbeResult {
        if self.stopping.load(Ordering::Relaxed) {
            return Ok(());
        }
        let last_heartbeat = match self.last_heartbeat.load(Ordering::Relaxed) {
            0 => return Ok(()),
            millis => self.started + Duration::from_millis(millis),
        };
        if now.saturating_duration_since(last_heartbeat) > HEARTBEAT_TIMEOUT { Err("hung") } else { Ok(()) }
    }

    /// Whether the worker receives messages.
    pub fn readiness(&self) -> ProbeResult {
        if self.stopping.load(Ordering::Relaxed) {
            return Err("stopping");
        }
        self.runtime_liveness()?;
        if !self.has_space() {
            return Err("disk_space_low");
        }
        if self.ready.load(Ordering::Relaxed) { Ok(()) } else { Err("waiting_for_runtime") }
    }

    /// Whether the runtime can go on without a restart.
    pub fn runtime_liveness(&self) -> ProbeResult {
        *self.runtime.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The metrics for CloudWatch since the last call, if the worker reports them.
    pub fn report(&self) -> Option<Document> {
        self.metrics.report(self.readiness().is_ok())
    }

    /// Keeps the gauges at what the probes answer.
    fn update_gauges(&self) {
        let tasks_inside = *self.tasks_inside.borrow();
        self.metrics.update_gauges(self.readiness().is_ok(), self.runtime_liveness().is_ok(), tasks_inside);
    }
}

/// A task that is inside.
#[must_use]
pub struct TaskGuard<'a>(&'a HealthState);

impl Drop for TaskGuard<'_> {
    fn drop(&mut self) {
        self.0.tasks_inside.send_modify(|count| *count = count.saturating_sub(1));
        self.0.update_gauges();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shutdown_overrides_readiness() {
        let health = HealthState::new("r", None, false);
        assert_eq!(health.readiness(), Err("waiting_for_runtime"));
        health.set_ready(true);
        assert_eq!(health.readiness(), Ok(()));
        health.set_stopping();
        health.set_ready(true);
        assert_eq!(health.readiness(), Err("stopping"));
        assert_eq!(health.liveness(), Ok(()), "a worker that drains is not to be killed");
    }

    #[test]
    fn a_stuck_runtime_is_neither_live_nor_ready() {
        let health = HealthState::new("r", None, false);
        health.set_ready(true);
        health.set_runtime(Err("runtime_stuck"));
        assert_eq!(
            (health.runtime_liveness(), health.readiness()),
            (Err("runtime_stuck"), Err("runtime_stuck"))
        );
        assert_eq!(health.liveness(), Ok(()), "a restart of the worker would not help");
        health.set_runtime(Ok(()));
        assert_eq!((health.runtime_liveness(), health.readiness()), (Ok(()), Ok(())));
    }

    #[test]
    fn a_full_scratch_folder_is_not_ready_and_yet_alive() {
        let health = HealthState::new("r", None, false);
        health.set_ready(true);
        health.set_has_space(false);
        assert_eq!((health.readiness(), health.runtime_liveness()), (Err("disk_space_low"), Ok(())));
        health.set_has_space(true);
        assert_eq!(health.readiness(), Ok(()));
    }

    #[test]
    fn a_loop_without_heartbeats_is_hung() {
        let health = HealthState::new("r", None, false);
        let late = || Instant::now() + HEARTBEAT_TIMEOUT + Duration::from_secs(1);
        assert_eq!(health.liveness_at(late()), Ok(()), "the loop has not begun");
        health.heartbeat();
        assert_eq!(health.liveness_at(Instant::now() + HEARTBEAT_TIMEOUT / 2), Ok(()));
        assert_eq!(health.liveness_at(late()), Err("hung"));
        health.set_stopping();
        assert_eq!(
            health.liveness_at(late()),
            Ok(()),
            "the loop has finished, and the last task may take long"
        );
    }

    #[test]
    fn tasks_are_counted_while_they_are_in_flight() {
        let health = HealthState::new("r", None, false);
        let counts = || {
            let text = health.metrics().text();
            let line = text.lines().find(|line| line.starts_with("darkroom_worker_tasks_inside{")).unwrap();
            (*health.tasks_inside().borrow(), line.rsplit_once(' ').unwrap().1.to_owned())
        };
        let (first, second) = (health.enter(), health.enter());
        assert_eq!(counts(), (2, "2".to_owned()));
        drop(first);
        assert_eq!(counts(), (1, "1".to_owned()));
        drop(second);
        assert_eq!(counts(), (0, "0".to_owned()));
    }
}
