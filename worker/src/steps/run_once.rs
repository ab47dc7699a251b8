//! One run in the runtime, until it ends or a bound interrupts it.

use std::sync::Arc;
use std::time::Instant;

use shared_schema::{ErrorCode, Task};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::bounds::Bound;
use super::deadline::{RunLimit, begun_too_late};
use super::{Attempt, AttemptError};
use crate::error::TaskError;
use crate::health::BrokenSign;
use crate::inputs::Input;
use crate::pipeline::Turn;
use crate::pipeline::run_estimator::RunGuard;
use crate::readiness::is_gone;
use crate::runtimes::{Job, JobPhase, Progress, RunHandle, RunOutput, known_errors};
use crate::spans;

/// How a run starts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Start<'a> {
    New,
    /// Once more, after the runtime's memory was freed.
    Retry,
    /// The previous process submitted it.
    Adopted(&'a RunHandle),
}

/// One run of a task.
pub(super) struct Run<'a> {
    pub(super) attempt: &'a Attempt<'a>,
    pub(super) task: &'a Arc<Task>,
    pub(super) start: Start<'a>,
    pub(super) limit: RunLimit,
    pub(super) progress: Progress,
}

impl<'a> Run<'a> {
    pub(super) fn new(attempt: &'a Attempt<'a>, task: &'a Arc<Task>, start: Start<'a>) -> Self {
        let limit = RunLimit::of(task, &attempt.worker.config);
        Self { attempt, task, start, limit, progress: Progress::new() }
    }

    /// The output, and when the run started. When a bound is exceeded, the run is interrupted first, so that the runtime is
    /// free afterwards.
    pub(super) async fn execute(
        &self,
        inputs: Vec<Input>,
        turn: &mut Turn,
    ) -> Result<(RunOutput, Instant), AttemptError> {
        let worker = self.attempt.worker;
        let span = spans::run(worker.config.runtime_type, self.task);
        let result = span.within(self.execute_in_span(inputs, turn)).await;
        if let Some(began) = self.progress.began() {
            let metrics = worker.health.metrics();
            metrics.gpu_busy(began.elapsed(), result.is_ok());
            metrics.run_named(worker.config.runtime_type.model_names(self.task));
        }
        span.result(&result, AttemptError::code);
        if let Ok((output, began)) = &result {
            spans::ran(&span, output, *began);
        }
        result
    }

    async fn execute_in_span(
        &self,
        inputs: Vec<Input>,
        turn: &mut Turn,
    ) -> Result<(RunOutput, Instant), AttemptError> {
        let worker = self.attempt.worker;
        let stop = CancellationToken::new();
        let (sender, handles) = mpsc::unbounded_channel();
        let job = Job {
            task: Arc::clone(self.task),
            inputs,
            stop: stop.clone(),
            progress: self.progress.clone(),
            handles: sender,
        };
        let running = self.track(self.submit(job), handles);
        tokio::pin!(running);

        let mut guard = None;
        let bound = tokio::select! {
            biased;
            // First, so that an acquired turn counts, however soon the run is over.
            bound = self.first_bound(turn, &mut guard) => bound,
            result = &mut running => return self.finish(turn, guard, result).await,
        };
        tracing::warn!(reason = bound.as_str(), "interrupting the run");
        worker.health.metrics().runtime_interrupted(bound.as_str());
        stop.cancel();
        let result = running.await;
        if bound != Bound::Drained && self.may_still_run(bound, &result) {
            worker.set_runtime_ready(false);
        }
        match (bound, result) {
            (Bound::LeaseLost, _) => Err(AttemptError::LeaseLost),
            // The run was over before the interruption reached it: its results count.
            (_, Ok(output)) => self.finish(turn, guard, Ok(output)).await,
            (Bound::Drained | Bound::RuntimeGone | Bound::WaitedTooLong, Err(_)) => {
                Err(AttemptError::GivenBack(bound.as_str()))
            }
            (Bound::StartMissed, Err(_)) => Err(begun_too_late().into()),
            (Bound::Canceled, Err(_)) => Err(TaskError::canceled().into()),
            (Bound::Timeout, Err(_)) => Err(self.limit.exceeded().into()),
            (Bound::Stuck, Err(_)) => {
                let seconds = worker.config.stuck_seconds;
                let message = format!("the runtime made no progress for {seconds} s");
                self.finish(turn, guard, Err(TaskError::new(ErrorCode::RuntimeStuck, message))).await
            }
        }
    }

    async fn submit(&self, job: Job) -> Result<RunOutput, TaskError> {
        let runtime = &self.attempt.worker.runtime;
        match self.start {
            Start::New | Start::Retry => runtime.run(job).await,
            Start::Adopted(handle) => runtime.adopt(job, handle).await.unwrap_or_else(|| Err(forgotten())),
        }
    }

    /// Whether the runtime may still work on the interrupted run. Its client reports it; one that takes a single job is also
    /// probed after a timeout.
    fn may_still_run(&self, bound: Bound, result: &Result<RunOutput, TaskError>) -> bool {
        match (result, self.attempt.worker.config.runtime_type.takes_several) {
            (Ok(_), _) => false,
            (Err(error), true) => error.code != ErrorCode::Interrupted,
            (Err(error), false) => {
                matches!(bound, Bound::Timeout | Bound::Canceled) || error.code == ErrorCode::RuntimeStuck
            }
        }
    }

    /// Evaluates the result of a run. If the runtime is gone or broken, the worker waits for it, and a job that had not
    /// started is released uncharged.
    async fn finish(
        &self,
        turn: &Turn,
        guard: Option<RunGuard>,
        result: Result<RunOutput, TaskError>,
    ) -> Result<(RunOutput, Instant), AttemptError> {
        let Attempt { worker, leased, .. } = self.attempt;
        let error = match result {
            Ok(output) => {
                if let Some(guard) = guard {
                    guard.completed();
                }
                let began = self.progress.began().map_or_else(Instant::now, tokio::time::Instant::into_std);
                return Ok((output, began));
            }
            Err(error) => {
                TaskError { began: self.progress.began(), ..known_errors::recognised(error, self.task) }
            }
        };
        let (is_gone, is_broken) = (is_gone(error.code), error.code == ErrorCode::RuntimeBroken);
        if is_gone {
            worker.set_runtime_ready(false);
        }
        if is_broken {
            let run = worker.claims.run_of(&leased.delivery);
            worker.mark_runtime_broken(run, BrokenSign::Words, &self.attempt.loggable(&error)).await;
        }
        let had_started = match self.progress.phase() {
            JobPhase::Running(_) => true,
            JobPhase::Waiting => false,
            // Of a run that the runtime has forgotten, the previous process knows whether it had started.
            JobPhase::Unknown => {
                leased.adopted.as_ref().map_or_else(|| turn.is_acquired(), |adopted| adopted.is_attempt)
            }
        };
        if (is_gone || is_broken) && !had_started {
            return Err(AttemptError::GivenBack("runtime_gone"));
        }
        Err(error.into())
    }
}

/// Waits until the runtime has started the job.
pub(super) async fn started(progress: &Progress) {
    progress.until(|phase| matches!(phase, JobPhase::Running(_))).await;
}

fn forgotten() -> TaskError {
    TaskError::new(
        ErrorCode::JobLost,
        "the worker was restarted, and the runtime does not know the job any more",
    )
}
