//! The bounds of a run: time, progress, deadline, lease, cancellation, and graceful shutdown.

use std::future::pending;
use std::time::Duration;

use tokio::time::sleep;

use super::deadline::start_missed;
use super::run_once::{Run, Start, started};
use crate::pipeline::Turn;
use crate::pipeline::kind::Kind;
use crate::pipeline::run_estimator::RunGuard;
use crate::runtimes::JobPhase;

/// The bound that interrupted a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    Timeout,
    Stuck,
    StartMissed,
    WaitedTooLong,
    RuntimeGone,
    LeaseLost,
    Drained,
    Canceled,
}

impl Bound {
    /// Its value in logs and as a metric's label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Stuck => "stuck",
            Self::StartMissed => "start_by",
            Self::WaitedTooLong => "waited_too_long",
            Self::RuntimeGone => "runtime_gone",
            Self::LeaseLost => "lease_lost",
            Self::Drained => "shutdown",
            Self::Canceled => "canceled",
        }
    }
}

impl Run<'_> {
    /// Waits for the first bound that is exceeded. Time and progress count from when the runtime starts the job; from then on
    /// `guard` registers the run with the estimator.
    pub(super) async fn first_bound(&self, turn: &mut Turn, guard: &mut Option<RunGuard>) -> Bound {
        let worker = self.attempt.worker;
        let (config, estimator) = (&worker.config, &worker.pipeline.estimator);
        let wanted = turn.wanted();
        let turn_acquired = async {
            turn.acquire().await;
            if !config.runtime_type.takes_several {
                self.progress.set_running();
            }
            pending().await
        };
        let in_time = async {
            if let Some(bound) = self.bound_before_start().await {
                return bound;
            }
            if let Some(gap) = estimator.idle_gap(wanted) {
                worker.health.metrics().gpu_gap(gap);
            }
            *guard = Some(estimator.begin(Kind::of(self.task), &self.progress));
            tokio::select! {
                () = sleep(self.limit.duration()) => Bound::Timeout,
                () = self.progress.stalled(config.stuck_timeout()) => Bound::Stuck,
            }
        };
        let drained = async {
            worker.stopping.cancelled().await;
            sleep(Duration::from_secs(config.drain_seconds)).await;
        };
        tokio::select! {
            biased;
            bound = turn_acquired => bound,
            bound = in_time => bound,
            () = self.attempt.leased.lease.lost().cancelled() => Bound::LeaseLost,
            () = drained => Bound::Drained,
            () = self.canceled() => Bound::Canceled,
        }
    }

    /// The bound that is exceeded while the job waits in the runtime's queue; `None` once it has started.
    async fn bound_before_start(&self) -> Option<Bound> {
        let mut readiness = self.attempt.worker.pipeline.readiness();
        let start_missed = async {
            match self.start {
                Start::New => {}
                Start::Retry => pending().await,
                // It may have started in time.
                Start::Adopted(_) => drop(self.progress.until(|phase| *phase != JobPhase::Unknown).await),
            }
            start_missed(self.task).await;
        };
        tokio::select! {
            biased;
            () = started(&self.progress) => None,
            // A job behind a run that killed the runtime, or hangs in it, would wait without end.
            _ = readiness.wait_for(|ready| !ready) => Some(Bound::RuntimeGone),
            () = start_missed => Some(Bound::StartMissed),
            () = sleep(self.max_wait()) => Some(Bound::WaitedTooLong),
        }
    }

    /// How long a job may wait in the runtime: as long as all runs before it may take. Whatever runs there after that is not
    /// this worker's.
    fn max_wait(&self) -> Duration {
        let config = &self.attempt.worker.config;
        let runs_before = config.worker_concurrency.saturating_add(1);
        Duration::from_secs(config.run_timeout_seconds).saturating_mul(runs_before)
    }
}
