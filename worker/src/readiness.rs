//! Before the first task and whenever the runtime was gone: waits until it accepts jobs and has no orphaned ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::ErrorCode;
use tokio::time::timeout;

use crate::breaker::Broken;
use crate::error::TaskError;
use crate::health::BrokenSign;
use crate::runtimes::{Process, RunHandle};
use crate::worker::Worker;

/// How often the runtime is probed until it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// How often another reason of the same code is logged, at most: a reason may hold a counter or a time.
const REASON_INTERVAL: Duration = Duration::from_secs(10);

/// How long a runtime may take to stop an interrupted run, before only a restart seems to help: longer than the decoding
/// of a large image, which nothing interrupts. `STUCK_SECONDS`, if that is less.
const INTERRUPT_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a task that has failed waits for a runtime that cannot be checked, before others may have it. `STUCK_SECONDS`, if that
/// is less.
const CHECK_TIMEOUT: Duration = Duration::from_mins(5);

/// So many checks in a row may be prevented. Then the task for checks may be what prevents them, by what it does to the runtime.
const MAX_PREVENTED_CHECKS: u32 = 3;

impl Worker {
    /// Makes the runtime ready, again whenever a run reports that it is gone.
    pub(crate) async fn keep_ready(self: Arc<Self>, started: Instant) {
        let mut readiness = self.pipeline.readiness();
        let mut was_ready = false;
        // The sender lives as long as the worker.
        while readiness.wait_for(|ready| !ready).await.is_ok() {
            let idle = self.pipeline.lock_idle().await;
            self.make_ready().await;
            drop(idle);
            self.set_runtime_ready(true);
            self.health.set_runtime(Ok(()));
            let runtime = &self.config.runtime_name;
            if was_ready {
                tracing::info!(%runtime, "ready again");
            } else {
                let startup_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let runtime_type = self.config.runtime_type.name();
                self.health.metrics().started(started.elapsed());
                tracing::info!(%runtime, runtime_type, startup_ms, "ready");
            }
            was_ready = true;
        }
    }

    /// There is no await between the last poll and the return: a check that is requested later makes it unready again.
    async fn make_ready(&self) {
        let mut prevented = 0;
        loop {
            if self.until_usable().await {
                continue;
            }
            let Some(good) = self.breaker.check() else { return };
            if self.check(&good).await {
                prevented = 0;
                continue;
            }
            prevented += 1;
            if prevented == MAX_PREVENTED_CHECKS {
                let message =
                    "the runtime goes away, stands still or is interrupted whenever it runs the task";
                self.discard_known_good(&TaskError::new(ErrorCode::RuntimeUnavailable, message));
            }
        }
    }

    /// Waits until the runtime can be checked or given a job. Returns whether it has to be checked again. Tasks that have failed
    /// and wait for a check are released when this takes long.
    async fn until_usable(&self) -> bool {
        let usable = async {
            self.until_restarted().await;
            self.until_it_takes_jobs().await;
            self.make_room().await
        };
        tokio::pin!(usable);
        let limit = CHECK_TIMEOUT.min(Duration::from_secs(self.config.stuck_seconds));
        loop {
            match timeout(limit, &mut usable).await {
                Ok(took_time) => return took_time,
                Err(_) => self.breaker.undecided(),
            }
        }
    }

    /// Waits until a broken process is gone. The next one may take its time to start, so it counts as alive at once.
    async fn until_restarted(&self) {
        while let Some(broken) = self.breaker.broken() {
            match self.runtime.process(broken.run.as_ref()).await {
                Process::Same => tokio::time::sleep(PROBE_INTERVAL).await,
                Process::Fresh if !broken.leaves_traces => tokio::time::sleep(PROBE_INTERVAL).await,
                Process::Gone | Process::Fresh => {
                    tracing::info!(runtime = %self.config.runtime_name, "the runtime was restarted");
                    // Until it has been checked, the next process of the worker has to know.
                    self.claims.set_broken(self.breaker.restarted());
                    self.health.set_runtime(Ok(()));
                }
            }
        }
    }

    /// The runtime's process can do no further work: nothing is received until another one has taken its place.
    pub(crate) async fn mark_runtime_broken(&self, run: Option<RunHandle>, sign: BrokenSign, why: &str) {
        self.set_runtime_ready(false);
        // No task has run since: this is another run of that process.
        if sign == BrokenSign::Words && self.breaker.is_open() {
            return;
        }
        let process = self.runtime.process(run.as_ref()).await;
        // One that is gone already cannot be distinguished from the next one later: that may be there by then.
        let is_replaced = process == Process::Gone;
        let broken = Broken { run, leaves_traces: process == Process::Same, is_replaced, failed_checks: 0 };
        if !is_replaced {
            self.health.set_runtime(Err(ErrorCode::RuntimeBroken.as_str()));
        }
        self.claims.set_broken(self.breaker.trip(broken));
        // It may have been made ready while it was asked.
        self.set_runtime_ready(false);
        self.health.metrics().runtime_broke(sign);
        let (runtime, code) = (&self.config.runtime_name, ErrorCode::RuntimeBroken);
        tracing::error!(%runtime, error.code = %code, sign = sign.as_str(), why, "the runtime has to be restarted");
    }

    async fn until_it_takes_jobs(&self) {
        let limit = INTERRUPT_TIMEOUT.min(Duration::from_secs(self.config.stuck_seconds));
        let mut last: Option<(TaskError, Instant)> = None;
        let mut clearing_since = None;
        loop {
            match self.probe().await {
                Ok(true) => return,
                Ok(false) => {
                    let since = *clearing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > limit {
                        self.mark_runtime_stuck("the runtime does not stop an interrupted run");
                    }
                }
                Err(error) => {
                    clearing_since = None;
                    if error.code == ErrorCode::RuntimeStuck {
                        self.mark_runtime_stuck(&error.message);
                    }
                    let is_said = last.as_ref().is_some_and(|(said, at)| {
                        said.code == error.code
                            && (said.message == error.message || at.elapsed() < REASON_INTERVAL)
                    });
                    if !is_said {
                        tracing::info!(runtime = %self.config.runtime_name, error.code = %error.code, reason = %error.message, "waiting for the runtime");
                        last = Some((error, Instant::now()));
                    }
                }
            }
            tokio::time::sleep(PROBE_INTERVAL).await;
        }
    }

    /// Says whether the runtime takes jobs: nothing is received while it does not.
    pub(crate) fn set_runtime_ready(&self, ready: bool) {
        self.pipeline.set_ready(ready);
        self.health.set_ready(ready);
    }

    /// Only a restart of the runtime helps: its liveness probe fails from now on.
    fn mark_runtime_stuck(&self, why: &str) {
        if self.health.runtime_liveness().is_ok() {
            tracing::error!(runtime = %self.config.runtime_name, error.code = %ErrorCode::RuntimeStuck, why, "the runtime has to be restarted");
            self.health.set_runtime(Err(ErrorCode::RuntimeStuck.as_str()));
        }
    }

    /// The runtime may be broken: it is checked before it gets another task.
    pub(crate) fn request_check(&self) {
        self.breaker.request_check();
        self.set_runtime_ready(false);
    }

    /// Whether the runtime takes jobs, with nothing in it but what this worker follows.
    async fn probe(&self) -> Result<bool, TaskError> {
        self.runtime.ready().await?;
        let is_clear = self.runtime.interrupt_orphans(&self.claims.runs()).await?;
        if is_clear {
            self.runtime.pin_settings().await?;
        }
        Ok(is_clear)
    }
}

/// Whether that failure of a run shows that the runtime is gone, or does nothing.
pub(crate) fn is_gone(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::RuntimeUnavailable | ErrorCode::RuntimeStuck | ErrorCode::JobLost)
}
