//! Whether the task is at fault for a failed run, or a runtime that can do no further work.

use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::time::{Instant, sleep};

use super::Attempt;
use crate::breaker::{Finding, Suspicion, may_be_the_runtimes};
use crate::error::TaskError;
use crate::health::BrokenSign;

/// A task that met broken runtimes so often fails permanently: it may be what breaks them. Each time costs a restart.
pub(super) const MAX_BROKEN: u32 = 3;

/// How long to wait for the next run, while the runtime has nothing to do, before it is checked.
const IDLE_FOR: Duration = Duration::from_secs(1);

/// What is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The failure is the task's own.
    Task,
    /// It was no attempt at the task.
    Runtime,
    /// The runtime is not available, so that it cannot be found out.
    Unknown,
    /// The worker shuts down before it is known.
    Stopping,
    /// The lease was lost before it is known.
    LeaseLost,
}

impl Attempt<'_> {
    /// Waits until it is known. Meanwhile the lease is extended, and the runtime is free for other tasks. A failure that is retried
    /// anyway is not waited for: the retry shows more than a check would.
    ///
    /// There is no other bound: what decides is a run or a check, however long it takes, and these have bounds of their own.
    pub(super) async fn blame(&self, error: &TaskError, is_retried: bool) -> Blame {
        let Self { worker, leased, assignment, .. } = self;
        let mut findings = worker.breaker.findings();
        // A task that the runtime never began to work on was refused just now.
        let began = error.began.unwrap_or_else(Instant::now);
        if error.code == ErrorCode::RuntimeBroken
            || (may_be_the_runtimes(error.code) && worker.breaker.is_open())
        {
            return Blame::Runtime;
        }
        if is_retried {
            return Blame::Task;
        }
        if error.code == ErrorCode::RuntimeUnavailable
            && worker.stopping.run_until_cancelled(worker.runtime_answers()).await != Some(true)
        {
            return Blame::Task;
        }
        match worker.breaker.failed(&assignment.submission, error.code, began) {
            Suspicion::None => return Blame::Task,
            Suspicion::Slight => {}
            Suspicion::Strong => worker.request_check(),
            Suspicion::Proven => {
                let run = worker.claims.run_of(&leased.delivery);
                worker.mark_runtime_broken(run, BrokenSign::Check, &self.loggable(error)).await;
                return Blame::Runtime;
            }
        }
        if worker.breaker.is_open() {
            return Blame::Runtime;
        }
        tracing::info!(error.code = %error.code, "the run failed, checking the runtime");
        let is_about_it = |finding: &Option<Finding>| match finding {
            Some(Finding::Healthy(sound)) => *sound > began,
            Some(Finding::Broken | Finding::Undecided) => true,
            None => false,
        };
        let found = async {
            // The sender lives as long as the worker.
            let _ = findings.changed().await;
            findings.wait_for(is_about_it).await.ok().and_then(|finding| *finding)
        };
        let idle = async {
            sleep(IDLE_FOR).await;
            drop(worker.pipeline.lock_idle().await);
            worker.request_check();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            found = found => match found {
                Some(Finding::Healthy(_)) => Blame::Task,
                Some(Finding::Undecided) => Blame::Unknown,
                Some(Finding::Broken) | None => Blame::Runtime,
            },
            () = leased.lease.lost().cancelled() => Blame::LeaseLost,
            () = worker.stopping.cancelled() => Blame::Stopping,
            () = idle => Blame::Task,
        }
    }
}

/// The final failure of a task that met too many broken runtimes.
pub(super) fn too_many_broken(error: &TaskError) -> TaskError {
    let message = format!(
        "the runtime broke in each of {MAX_BROKEN} attempts, perhaps by this task, which is not tried again: {}",
        error.message
    );
    TaskError { code: ErrorCode::RuntimeBroken, message, ..error.clone() }.finally()
}
