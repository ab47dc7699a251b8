//! Runs a task under its bounds: time, signs of life, the lease, and the end of the worker.

use std::sync::Arc;
use std::time::Duration;

use shared_schema::{ErrorCode, Task};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::deadline::RunLimit;
use super::{Stop, Taken, Work, Worker};
use crate::cloud::Lease;
use crate::error::TaskError;
use crate::inputs::Input;
use crate::pipeline::Turn;
use crate::runtimes::{Job, Progress, RunHandle, RunOutput};

/// How long it may take to tell that a task has begun: the runtime's next turn waits for it, too.
const TELLING_PATIENCE: Duration = Duration::from_secs(5);

/// What ended a run before it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Timeout,
    Stuck,
    RuntimeGone,
    LeaseLost,
    Drained,
}

impl Bound {
    fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Stuck => "stuck",
            Self::RuntimeGone => "runtime_gone",
            Self::LeaseLost => "lease_lost",
            Self::Drained => "shutdown",
        }
    }
}

impl Worker {
    /// The output of the run, and the turn that it still holds. A task that ran out of memory has a second chance, with
    /// the memory freed.
    pub(super) async fn run(
        &self,
        work: &Work<'_>,
        task: &Arc<Task>,
        inputs: Vec<Input>,
        mut turn: Turn,
    ) -> Result<(RunOutput, Turn), Stop> {
        if let Some(handle) = &work.taken.begun {
            tracing::info!("taking up the run of the process before this one");
            return Ok((self.run_once(work, task, inputs, &mut turn, Some(handle)).await?, turn));
        }
        let output = match self.run_once(work, task, inputs.clone(), &mut turn, None).await {
            Err(Stop::Failed(error)) if error.code == ErrorCode::OutOfMemory => {
                tracing::warn!(error.code = %error.code, "freeing the runtime's memory and trying once more");
                if let Some(first) = self.claims.run_of(&work.taken.delivery) {
                    self.runtime.forget(&first).await;
                }
                self.runtime.free_memory().await;
                match self.run_once(work, task, inputs, &mut turn, None).await {
                    Err(Stop::Failed(error)) if error.code == ErrorCode::OutOfMemory => {
                        return Err(error.finally().into());
                    }
                    result => result?,
                }
            }
            result => result?,
        };
        Ok((output, turn))
    }

    /// When a bound is hit, the runtime is interrupted first, so that it is free afterwards.
    async fn run_once(
        &self,
        work: &Work<'_>,
        task: &Arc<Task>,
        inputs: Vec<Input>,
        turn: &mut Turn,
        begun: Option<&RunHandle>,
    ) -> Result<RunOutput, Stop> {
        let Taken { delivery, lease, .. } = work.taken;
        let (stop, progress) = (CancellationToken::new(), Progress::new());
        let (handles, mut told) = mpsc::unbounded_channel();
        let limit = RunLimit::of(task, &self.config);
        let job =
            Job { task: Arc::clone(task), inputs, stop: stop.clone(), progress: progress.clone(), handles };
        let running = async {
            match begun {
                None => self.runtime.run(job).await,
                Some(handle) => self.runtime.adopt(job, handle).await.unwrap_or_else(|| Err(forgotten())),
            }
        };
        let telling = async {
            while let Some(handle) = told.recv().await {
                self.claims.running(delivery, handle);
            }
        };
        let running = async { tokio::join!(running, self.notify_running(work), telling).0 };
        tokio::pin!(running);

        let bound = tokio::select! {
            biased;
            // First, so that a turn that had come has begun, however soon the run is over.
            bound = self.bound(lease, turn, &progress, limit) => bound,
            result = &mut running => return self.ended(turn, result),
        };
        tracing::warn!(reason = bound.as_str(), "interrupting the run");
        self.vitals.metrics().runtime_interrupted(bound.as_str());
        stop.cancel();
        let result = running.await;
        match (bound, result) {
            (Bound::LeaseLost, _) => Err(Stop::LeaseLost),
            // It was over before the interruption reached it: nothing is thrown away.
            (_, Ok(output)) => self.ended(turn, Ok(output)),
            (Bound::Drained, Err(_)) => Err(Stop::GivenBack("shutdown")),
            (Bound::RuntimeGone, Err(_)) => Err(Stop::GivenBack("runtime_gone")),
            (Bound::Timeout, Err(_)) => {
                // Whether it has stopped is seen before the next run.
                self.runtime_is(false);
                Err(limit.exceeded().into())
            }
            (Bound::Stuck, Err(_)) => {
                let seconds = self.config.stuck_seconds;
                let message = format!("the runtime made no progress for {seconds} s");
                self.ended(turn, Err(TaskError::new(ErrorCode::RuntimeStuck, message)))
            }
        }
    }

    /// A run that says that the runtime is gone makes the worker wait for it. One whose turn had not come is no attempt.
    fn ended(&self, turn: &mut Turn, result: Result<RunOutput, TaskError>) -> Result<RunOutput, Stop> {
        let error = match result {
            Ok(output) => {
                turn.completed();
                return Ok(output);
            }
            Err(error) => error,
        };
        let is_gone = matches!(
            error.code,
            ErrorCode::RuntimeUnavailable | ErrorCode::RuntimeStuck | ErrorCode::JobLost
        );
        if is_gone {
            self.runtime_is(false);
        }
        if is_gone && !turn.has_begun() {
            return Err(Stop::GivenBack("runtime_gone"));
        }
        Err(error.into())
    }

    async fn bound(&self, lease: &Lease, turn: &mut Turn, progress: &Progress, limit: RunLimit) -> Bound {
        let in_time = async {
            // What waits behind a run that the runtime died of, or hangs in, would wait in vain.
            let mut readiness = self.pipeline.readiness();
            let gap = tokio::select! {
                biased;
                _ = readiness.wait_for(|ready| !ready) => return Bound::RuntimeGone,
                gap = turn.begun(&self.pipeline.pace, progress) => gap,
            };
            if let Some(gap) = gap {
                self.vitals.metrics().gpu_gap(gap);
            }
            tokio::select! {
                () = sleep(limit.duration()) => Bound::Timeout,
                () = self.no_progress(progress) => Bound::Stuck,
            }
        };
        let drained = async {
            self.stopping.cancelled().await;
            sleep(Duration::from_secs(self.config.drain_seconds)).await;
        };
        tokio::select! {
            bound = in_time => bound,
            () = lease.lost().cancelled() => Bound::LeaseLost,
            () = drained => Bound::Drained,
        }
    }

    /// Returns when the run has shown no sign of life for too long, reckoned from now at the earliest.
    async fn no_progress(&self, progress: &Progress) {
        let patience = Duration::from_secs(self.config.stuck_seconds);
        progress.alive();
        let watched = progress.watch();
        loop {
            let silent_until = watched.borrow().at + patience;
            if silent_until <= tokio::time::Instant::now() {
                return;
            }
            sleep_until(silent_until).await;
        }
    }

    /// The end of the run waits for it, so that nobody hears of the beginning last; but not for long.
    async fn notify_running(&self, work: &Work<'_>) {
        if self.config.notify_when_running {
            let telling = self.results.notify_running(work.assignment);
            if timeout(TELLING_PATIENCE, telling).await.is_err() {
                tracing::warn!("cannot tell in time that the task has begun");
            }
        }
    }
}

fn forgotten() -> TaskError {
    TaskError::new(
        ErrorCode::JobLost,
        "the worker was restarted, and the runtime does not know the job any more",
    )
}
