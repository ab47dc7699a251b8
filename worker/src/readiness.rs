//! Before the first task and whenever the runtime was gone: waits until it takes jobs and holds none that nobody wants.

use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::ErrorCode;
use tokio::sync::mpsc;

use crate::breaker::{Broken, KnownGood};
use crate::error::TaskError;
use crate::health::BrokenSign;
use crate::runtimes::{Job, Process, RunHandle, symptoms};
use crate::steps::Worker;

/// How often the runtime is probed until it is ready.
const PROBE_INTERVAL: Duration = Duration::from_millis(250);

/// How often another reason of the same code is logged, at most: a reason may hold a counter or a time.
const REASON_INTERVAL: Duration = Duration::from_secs(10);

/// How long a runtime may take to end what it was told to, before only a restart seems to help: longer than the decoding
/// of a large image, which nothing interrupts. `STUCK_SECONDS`, if that is less.
const CLEARING_PATIENCE: Duration = Duration::from_secs(60);

impl Worker {
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
            self.vitals.runtime_is(Ok(()));
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

    /// Nothing is waited for between the last look and the return: what is doubted later makes it unready again.
    async fn make_ready(&self) {
        loop {
            self.until_restarted().await;
            self.until_it_takes_jobs().await;
            if self.make_room().await {
                continue;
            }
            match self.breaker.check() {
                None => return,
                Some(good) => self.check(good).await,
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
                    self.breaker.restarted();
                    self.claims.broken(None);
                    self.vitals.runtime_is(Ok(()));
                }
            }
        }
    }

    /// Runs a task that succeeded before; once more if that fails, since a check can meet a passing fault.
    async fn check(&self, good: KnownGood) {
        tracing::info!(runtime = %self.config.runtime_name, "checking the runtime with a task that succeeded before");
        for is_last in [false, true] {
            let (run, result) = self.run_for_check(&good).await;
            match result {
                Ok(()) => return self.breaker.passed(),
                // Once it is back it is checked again.
                Err(error) if is_gone(error.code) || error.code == ErrorCode::Interrupted => {
                    tracing::info!(error.code = %error.code, "the check did not take place");
                    return;
                }
                Err(error) if is_last || error.code == ErrorCode::RuntimeBroken => {
                    return self.runtime_broke(run, BrokenSign::Check, &error.message).await;
                }
                Err(error) => {
                    tracing::info!(error.code = %error.code, reason = %error.message, "the check failed, checking once more");
                }
            }
        }
    }

    /// How the runtime knows the run, and whether it succeeded. Its results are not needed.
    async fn run_for_check(&self, good: &KnownGood) -> (Option<RunHandle>, Result<(), TaskError>) {
        let (handles, mut known) = mpsc::unbounded_channel();
        let job = Job { handles, ..Job::new(Arc::clone(&good.task), good.inputs.clone()) };
        let (stop, progress) = (job.stop.clone(), job.progress.clone());
        let running = self.runtime.run_anew(job);
        tokio::pin!(running);
        let too_long = async {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(self.config.run_timeout_seconds)) => {}
                () = self.no_progress(&progress) => {}
            }
        };
        let result = tokio::select! {
            result = &mut running => result,
            () = too_long => {
                stop.cancel();
                running.await.map_err(|_| TaskError::new(ErrorCode::RuntimeFailed, "the check is not over in time"))
            }
        };
        let run = std::iter::from_fn(|| known.try_recv().ok()).last();
        if let Some(run) = &run {
            if result.is_ok() {
                self.runtime.forget(run).await;
            }
            self.delete_files_of(run).await;
        }
        (run, result.map(drop).map_err(|error| symptoms::recognised(error, &good.task)))
    }

    /// The runtime's process can do no further work: nothing is received until another one has taken its place.
    pub(crate) async fn runtime_broke(&self, run: Option<RunHandle>, sign: BrokenSign, why: &str) {
        self.runtime_is(false);
        if self.breaker.broken().is_some() {
            return;
        }
        let leaves_traces = self.runtime.process(run.as_ref()).await == Process::Same;
        let broken = Broken { run, leaves_traces };
        self.claims.broken(Some(broken.clone()));
        self.breaker.broke(broken);
        self.vitals.runtime_is(Err(ErrorCode::RuntimeBroken.as_str()));
        self.vitals.metrics().runtime_broke(sign);
        let (runtime, code) = (&self.config.runtime_name, ErrorCode::RuntimeBroken);
        tracing::error!(%runtime, error.code = %code, sign = sign.as_str(), why, "the runtime has to be restarted");
    }

    async fn until_it_takes_jobs(&self) {
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
            self.vitals.runtime_is(Err(ErrorCode::RuntimeStuck.as_str()));
        }
    }

    /// The runtime may be broken: it is checked before it gets another task.
    pub(crate) fn doubt_runtime(&self) {
        self.breaker.doubt();
        self.runtime_is(false);
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

/// Whether a run that ends so says that the runtime is gone, or does nothing.
pub(crate) fn is_gone(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::RuntimeUnavailable | ErrorCode::RuntimeStuck | ErrorCode::JobLost)
}
