//! Before the first task and whenever the runtime was gone: waits until it takes jobs and holds none that nobody wants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::ErrorCode;
use tokio::task::JoinSet;

use crate::claims::Claim;
use crate::error::TaskError;
use crate::pipeline::Staged;
use crate::steps::Worker;

/// How often the runtime is probed until it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// How often another reason of the same code is logged, at most: a reason may hold a counter or a time.
const REASON_INTERVAL: Duration = Duration::from_secs(10);

/// How long a runtime may take to end what it was told to, before only a restart seems to help: longer than the decoding
/// of a large image, which nothing interrupts. `STUCK_SECONDS`, if that is less.
const CLEARING_PATIENCE: Duration = Duration::from_secs(60);

impl Worker {
    /// Takes up what the process before this one left: a run that the runtime can find again is followed to its end, other
    /// messages are given back at once. A lease that may have ended is nobody's.
    pub(crate) async fn recover(self: &Arc<Self>, left: Vec<Claim>, tasks: &mut JoinSet<()>) {
        for claim in left {
            let margin = self.config.visibility_timeout().mul_f64(0.1);
            if claim.hidden_until < std::time::SystemTime::now() + margin {
                continue;
            }
            let Some(run) = claim.run else {
                // Its attempt is charged: the process may have died of it.
                if let Err(error) =
                    self.cloud.queue.release(&claim.delivery.receipt_handle, Duration::ZERO).await
                {
                    tracing::warn!(%error, "what the process before this one held comes back later");
                }
                continue;
            };
            self.claims.hidden_until(&claim.delivery, claim.hidden_until);
            self.claims.running(&claim.delivery, run.clone());
            let (worker, taken) = (Arc::clone(self), self.take(claim.delivery, Some(run)));
            tasks.spawn(async move { worker.work(taken, Staged::beside_the_others()).await });
        }
    }

    /// Makes the runtime ready, again and again, whenever a run says that it is gone.
    pub(crate) async fn keep_ready(self: Arc<Self>, started: Instant) {
        let mut readiness = self.pipeline.readiness();
        let mut was_ready = false;
        // The sender lives as long as the worker.
        while readiness.wait_for(|ready| !ready).await.is_ok() {
            let idle = self.pipeline.idle().await;
            self.make_ready().await;
            drop(idle);
            self.runtime_is(true);
            self.vitals.runtime_alive(true);
            let runtime = &self.config.runtime_name;
            if was_ready {
                tracing::info!(%runtime, "ready again");
            } else {
                let startup_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                let runtime_type = self.config.runtime_type.name;
                tracing::info!(%runtime, runtime_type, startup_ms, "ready");
            }
            was_ready = true;
        }
    }

    async fn make_ready(&self) {
        let patience = CLEARING_PATIENCE.min(Duration::from_secs(self.config.stuck_seconds));
        let mut last: Option<(TaskError, Instant)> = None;
        let mut clearing_since = None;
        loop {
            match self.probe().await {
                Ok(true) => return,
                Ok(false) => {
                    let since = *clearing_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > patience {
                        self.runtime_is_stuck("the runtime does not end what it was told to");
                    }
                }
                Err(error) => {
                    clearing_since = None;
                    if error.code == ErrorCode::RuntimeStuck {
                        self.runtime_is_stuck(&error.message);
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
    pub(crate) fn runtime_is(&self, ready: bool) {
        self.pipeline.set_ready(ready);
        self.vitals.ready(ready);
    }

    /// Only a restart of the runtime helps: whoever probes it shall know.
    fn runtime_is_stuck(&self, why: &str) {
        if self.vitals.runtime_health().is_ok() {
            tracing::error!(runtime = %self.config.runtime_name, error.code = %ErrorCode::RuntimeStuck, why, "the runtime has to be restarted");
            self.vitals.runtime_alive(false);
        }
    }

    /// Whether the runtime takes jobs, with nothing in it but what this worker follows.
    async fn probe(&self) -> Result<bool, TaskError> {
        self.runtime.ready().await?;
        let is_clear = self.runtime.clear(&self.claims.runs()).await?;
        if is_clear {
            self.runtime.settle().await?;
        }
        Ok(is_clear)
    }
}
