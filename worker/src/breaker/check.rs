//! Checks the runtime with the known-good task.

use std::sync::Arc;
use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::sync::mpsc;

use super::KnownGood;
use crate::error::TaskError;
use crate::health::BrokenSign;
use crate::runtimes::{Job, RunHandle, known_errors};
use crate::steps::log_message::loggable;
use crate::worker::Worker;

impl Worker {
    /// Checks the runtime with that task; once more if it fails, since a check can meet a passing fault. Returns whether that
    /// found out anything: not if the runtime goes away, or the run is interrupted by somebody else.
    pub(crate) async fn check(&self, good: &KnownGood) -> bool {
        tracing::info!(runtime = %self.config.runtime_name, "checking the runtime with the known-good task");
        let mut is_last = false;
        loop {
            let (run, result) = self.run_for_check(good).await;
            let Err(error) = result else {
                self.breaker.passed();
                self.claims.set_broken(None);
                return true;
            };
            // From here on it is only logged, and the task is a caller's.
            let models = self.config.runtime_type.model_names(&good.task);
            let message = loggable(&error.message, &good.task, &models).into_owned();
            let error = TaskError { message, ..error };
            if is_about_the_task(error.code) {
                self.discard_known_good(&error);
                return true;
            }
            if self.was_prevented(&error).await {
                tracing::info!(error.code = %error.code, "runtime check aborted");
                return false;
            }
            let is_by_words = error.code == ErrorCode::RuntimeBroken;
            if is_last || is_by_words {
                if !is_by_words && self.breaker.failed_check() {
                    self.discard_known_good(&error);
                } else {
                    self.mark_runtime_broken(run, BrokenSign::Check, &error.message).await;
                }
                return true;
            }
            tracing::info!(error.code = %error.code, reason = %error.message, "runtime check failed, retrying once");
            is_last = true;
        }
    }

    /// The task is no indication any more: perhaps its model or a node was removed. The pending check is dropped, since no
    /// restart would help. One that fails in process after process is given up, too: then the next task decides.
    pub(crate) fn discard_known_good(&self, error: &TaskError) {
        tracing::warn!(
            runtime = %self.config.runtime_name, error.code = %error.code, reason = %error.message,
            "known-good task discarded, the next task that succeeds replaces it"
        );
        self.claims.discard_known_good();
        self.claims.set_broken(None);
        self.breaker.discard_known_good();
    }

    /// Whether the runtime answers its probes, and so is not about to be restarted.
    pub(crate) async fn runtime_answers(&self) -> bool {
        self.runtime.ready().await.is_ok()
    }

    /// Whether a check was aborted because the runtime is gone or stuck, or the run was interrupted. A runtime that
    /// answers its probes, but not what belongs to a run, has failed the check.
    async fn was_prevented(&self, error: &TaskError) -> bool {
        match error.code {
            ErrorCode::Interrupted | ErrorCode::JobLost | ErrorCode::RuntimeStuck => true,
            ErrorCode::RuntimeUnavailable => !self.runtime_answers().await,
            _ => false,
        }
    }

    /// How the runtime knows the run, and whether it succeeded. Its results are not needed.
    async fn run_for_check(&self, good: &KnownGood) -> (Option<RunHandle>, Result<(), TaskError>) {
        let (handles, mut known) = mpsc::unbounded_channel();
        let job = Job { handles, ..Job::new(Arc::clone(&good.task), good.inputs.clone()) };
        let (stop, progress) = (job.stop.clone(), job.progress.clone());
        let running = self.runtime.rerun(job);
        tokio::pin!(running);
        let too_long = async {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(self.config.run_timeout_seconds)) => {}
                () = progress.stalled(self.config.stuck_timeout()) => {}
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
        (run, result.map(drop).map_err(|error| known_errors::recognised(error, &good.task)))
    }
}

/// Whether a run with that error was rejected because of the task, before the runtime started it.
fn is_about_the_task(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::InvalidTask
            | ErrorCode::UnsupportedTaskType
            | ErrorCode::InputRefused
            | ErrorCode::InputNotFound
            | ErrorCode::InputUnavailable
            | ErrorCode::InputTooLarge
            | ErrorCode::InputNotMedia
            | ErrorCode::ModelNotFound
            | ErrorCode::RuntimeRejected
    )
}
