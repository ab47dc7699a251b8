//! Runs a task under its bounds: time, signs of life, the lease, and the end of the worker.

use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use shared_schema::{ErrorCode, Task};
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::deadline::{RunLimit, begun_too_late, start_missed};
use super::{AttemptError, Work, Worker};
use crate::breaker::KnownGood;
use crate::error::TaskError;
use crate::health::BrokenSign;
use crate::inputs::Input;
use crate::pipeline::Turn;
use crate::pipeline::kind::Kind;
use crate::pipeline::run_estimator::RunGuard;
use crate::readiness::is_gone;
use crate::runtimes::{Job, JobPhase, Progress, RunHandle, RunOutput, known_errors};

/// How long it may take to tell that a task has begun: the runtime's next turn waits for it, too.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);

/// What ended a run before it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Timeout,
    Stuck,
    StartMissed,
    WaitedTooLong,
    RuntimeGone,
    LeaseLost,
    Drained,
}

impl Bound {
    fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Stuck => "stuck",
            Self::StartMissed => "start_by",
            Self::WaitedTooLong => "waited_too_long",
            Self::RuntimeGone => "runtime_gone",
            Self::LeaseLost => "lease_lost",
            Self::Drained => "shutdown",
        }
    }
}

/// How the runtime comes to have the job.
#[derive(Debug, Clone, Copy)]
enum Start<'a> {
    New,
    /// Once more, after its memory has been freed.
    Retry,
    /// A former process of this worker began the run.
    Adopted(&'a RunHandle),
}

/// A job that the runtime is given, and how far it is.
struct RunContext<'a> {
    work: &'a Work<'a>,
    task: &'a Task,
    start: Start<'a>,
    limit: RunLimit,
    progress: &'a Progress,
}

/// A run that succeeded.
pub(super) struct RunResult {
    pub(super) output: RunOutput,
    /// The turn that it still holds.
    pub(super) turn: Turn,
    /// When the runtime began to work on it.
    pub(super) began: Instant,
}

impl Worker {
    /// Runs the task. One that ran out of memory has a second chance, with the memory freed.
    pub(super) async fn run(
        &self,
        work: &Work<'_>,
        task: &Arc<Task>,
        inputs: Vec<Input>,
        mut turn: Turn,
    ) -> Result<RunResult, AttemptError> {
        if let Some(begun) = &work.taken.begun {
            tracing::info!("taking up the run of the process before this one");
            let adopted = Start::Adopted(&begun.run);
            let (output, began) = self.run_once(work, task, inputs, &mut turn, adopted).await?;
            self.breaker.succeeded(began.into(), None);
            return Ok(RunResult { output, turn, began });
        }
        let (output, began) = match self.run_once(work, task, inputs.clone(), &mut turn, Start::New).await {
            Err(AttemptError::Failed(error)) if error.code == ErrorCode::OutOfMemory => {
                tracing::warn!(error.code = %error.code, "freeing the runtime's memory and retrying once");
                if let Some(first) = self.claims.run_of(&work.taken.delivery) {
                    self.runtime.forget(&first).await;
                    self.delete_files_of(&first).await;
                }
                self.runtime.free_memory().await;
                match self.run_once(work, task, inputs.clone(), &mut turn, Start::Retry).await {
                    Err(AttemptError::Failed(error)) if error.code == ErrorCode::OutOfMemory => {
                        return Err(error.finally().into());
                    }
                    result => result?,
                }
            }
            result => result?,
        };
        let good = KnownGood::new(task, inputs, began.elapsed());
        if self.breaker.succeeded(began.into(), Some(good.clone()))
            && let Some(task) = good.saved()
        {
            self.claims.set_known_good(task);
        }
        Ok(RunResult { output, turn, began })
    }

    /// The output, and when the run began. When a bound is hit, the runtime is interrupted first, so that it is free
    /// afterwards.
    async fn run_once(
        &self,
        work: &Work<'_>,
        task: &Arc<Task>,
        inputs: Vec<Input>,
        turn: &mut Turn,
        start: Start<'_>,
    ) -> Result<(RunOutput, Instant), AttemptError> {
        let (stop, progress, over) = (CancellationToken::new(), Progress::new(), CancellationToken::new());
        let (handles, mut told) = mpsc::unbounded_channel();
        let limit = RunLimit::of(task, &self.config);
        let job =
            Job { task: Arc::clone(task), inputs, stop: stop.clone(), progress: progress.clone(), handles };
        let running = async {
            let result = match start {
                Start::New | Start::Retry => self.runtime.run(job).await,
                Start::Adopted(handle) => {
                    self.runtime.adopt(job, handle).await.unwrap_or_else(|| Err(forgotten()))
                }
            };
            over.cancel();
            result
        };
        let claiming = async {
            while let Some(handle) = told.recv().await {
                self.claims.run_started(&work.taken.delivery, handle);
            }
        };
        let notifying = async {
            over.run_until_cancelled(begun(&progress)).await;
            if matches!(progress.phase(), JobPhase::Running(_)) {
                self.claims.run_began(&work.taken.delivery);
                self.notify_running(work).await;
            }
        };
        let running = async {
            let result = tokio::join!(running, notifying, claiming).0;
            if result.is_err() {
                self.claims.run_ended(&work.taken.delivery);
            }
            result
        };
        tokio::pin!(running);

        let context = RunContext { work, task, start, limit, progress: &progress };
        let mut guard = None;
        let bound = tokio::select! {
            biased;
            // First, so that a turn that had come has begun, however soon the run is over.
            bound = self.bound(&context, turn, &mut guard) => bound,
            result = &mut running => return self.ended(&context, turn, guard, result).await,
        };
        tracing::warn!(reason = bound.as_str(), "interrupting the run");
        self.health.metrics().runtime_interrupted(bound.as_str());
        stop.cancel();
        let result = running.await;
        // A runtime that takes several makes sure that the run has stopped, or says that it has not. Another one is looked at
        // before the next run.
        let is_left = match (&result, self.takes_several()) {
            (Ok(_), _) => false,
            (Err(error), true) => error.code != ErrorCode::Interrupted,
            (Err(_), false) => bound == Bound::Timeout,
        };
        if is_left && bound != Bound::Drained {
            self.set_runtime_ready(false);
        }
        match (bound, result) {
            (Bound::LeaseLost, _) => Err(AttemptError::LeaseLost),
            // It was over before the interruption reached it: nothing is thrown away.
            (_, Ok(output)) => self.ended(&context, turn, guard, Ok(output)).await,
            (Bound::Drained, Err(_)) => Err(AttemptError::GivenBack("shutdown")),
            (Bound::RuntimeGone, Err(_)) => Err(AttemptError::GivenBack("runtime_gone")),
            (Bound::WaitedTooLong, Err(_)) => Err(AttemptError::GivenBack("waited_too_long")),
            (Bound::StartMissed, Err(_)) => Err(begun_too_late().into()),
            (Bound::Timeout, Err(_)) => Err(limit.exceeded().into()),
            (Bound::Stuck, Err(_)) => {
                let seconds = self.config.stuck_seconds;
                let message = format!("the runtime made no progress for {seconds} s");
                let error = TaskError::new(ErrorCode::RuntimeStuck, message);
                self.ended(&context, turn, guard, Err(error)).await
            }
        }
    }

    /// A run that says that the runtime is gone, or broken, makes the worker wait for it. One that had not begun, since
    /// another one was before it, is no attempt.
    async fn ended(
        &self,
        RunContext { work, task, progress, .. }: &RunContext<'_>,
        turn: &Turn,
        guard: Option<RunGuard>,
        result: Result<RunOutput, TaskError>,
    ) -> Result<(RunOutput, Instant), AttemptError> {
        let error = match result {
            Ok(output) => {
                if let Some(guard) = guard {
                    guard.completed();
                }
                let began = progress.began().map_or_else(Instant::now, tokio::time::Instant::into_std);
                return Ok((output, began));
            }
            Err(error) => TaskError { began: progress.began(), ..known_errors::recognised(error, task) },
        };
        let (is_gone, is_broken) = (is_gone(error.code), error.code == ErrorCode::RuntimeBroken);
        if is_gone {
            self.set_runtime_ready(false);
        }
        if is_broken {
            let run = self.claims.run_of(&work.taken.delivery);
            self.mark_runtime_broken(run, BrokenSign::Words, &error.message).await;
        }
        let was_first = match progress.phase() {
            JobPhase::Running(_) => true,
            JobPhase::Waiting => false,
            // Of a run that the runtime does not know any more, the process before this one knows whether it had begun.
            JobPhase::Unknown => {
                work.taken.begun.as_ref().map_or_else(|| turn.is_acquired(), |begun| begun.is_attempt)
            }
        };
        if (is_gone || is_broken) && !was_first {
            return Err(AttemptError::GivenBack("runtime_gone"));
        }
        Err(error.into())
    }

    /// Waits for the first bound that is hit. Time and signs of life count from when the runtime works on the job.
    async fn bound(&self, context: &RunContext<'_>, turn: &mut Turn, guard: &mut Option<RunGuard>) -> Bound {
        let RunContext { work, task, limit, progress, .. } = context;
        let wanted = turn.wanted();
        let turn_acquired = async {
            turn.acquire().await;
            if !self.takes_several() {
                progress.set_running();
            }
            pending().await
        };
        let in_time = async {
            if let Some(bound) = self.before_it_begins(context).await {
                return bound;
            }
            if let Some(gap) = self.pipeline.estimator.idle_gap(wanted) {
                self.health.metrics().gpu_gap(gap);
            }
            *guard = Some(self.pipeline.estimator.begin(Kind::of(task), progress));
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
            biased;
            bound = turn_acquired => bound,
            bound = in_time => bound,
            () = work.taken.lease.lost().cancelled() => Bound::LeaseLost,
            () = drained => Bound::Drained,
        }
    }

    /// The bound that is hit while the job waits for its turn in the runtime; `None` once it runs.
    async fn before_it_begins(
        &self,
        RunContext { task, start, progress, .. }: &RunContext<'_>,
    ) -> Option<Bound> {
        let mut readiness = self.pipeline.readiness();
        let start_missed = async {
            match start {
                Start::New => {}
                Start::Retry => pending().await,
                // It may have begun in time.
                Start::Adopted(_) => drop(progress.until(|phase| *phase != JobPhase::Unknown).await),
            }
            start_missed(task).await;
        };
        tokio::select! {
            biased;
            () = begun(progress) => None,
            // What waits behind a run that the runtime died of, or hangs in, would wait in vain.
            _ = readiness.wait_for(|ready| !ready) => Some(Bound::RuntimeGone),
            () = start_missed => Some(Bound::StartMissed),
            () = sleep(self.longest_wait()) => Some(Bound::WaitedTooLong),
        }
    }

    /// How long a job may wait in the runtime: the longest that all runs before it can take. Beyond it, what runs there is
    /// nothing that this worker watches.
    fn longest_wait(&self) -> Duration {
        let runs_before = self.config.worker_concurrency.saturating_add(1);
        Duration::from_secs(self.config.run_timeout_seconds).saturating_mul(runs_before)
    }

    fn takes_several(&self) -> bool {
        self.config.runtime_type.takes_several
    }

    /// Returns when the run has shown no sign of life for too long, reckoned from now at the earliest.
    pub(crate) async fn no_progress(&self, progress: &Progress) {
        let patience = Duration::from_secs(self.config.stuck_seconds);
        progress.heartbeat();
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
            if timeout(NOTIFY_TIMEOUT, telling).await.is_err() {
                tracing::warn!("cannot tell in time that the task has begun");
            }
        }
    }
}

async fn begun(progress: &Progress) {
    progress.until(|phase| matches!(phase, JobPhase::Running(_))).await;
}

fn forgotten() -> TaskError {
    TaskError::new(
        ErrorCode::JobLost,
        "the worker was restarted, and the runtime does not know the job any more",
    )
}
