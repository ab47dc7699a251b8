//! Who is to blame for a failed run: the task, or a runtime that can do no further work.

use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::time::{Instant, sleep};

use super::{Work, Worker};
use crate::breaker::{Finding, Suspicion, may_be_the_runtimes};
use crate::error::TaskError;

/// A task that met broken runtimes so often fails for good: it may be what breaks them. Each time costs a runtime its start.
pub(super) const MOST_BROKEN: u32 = 3;

/// How long to wait for the next run, while the runtime has nothing to do, before it is checked.
const IDLE_FOR: Duration = Duration::from_secs(1);

/// How long to wait for the end of the next run, or of a check. Longer than the loading of most models.
const PATIENCE: Duration = Duration::from_mins(5);

/// Who is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The failure is the task's own.
    Task,
    /// It was no attempt at the task.
    Runtime,
    /// The worker stops before it is known.
    Nobody,
    /// The lease was lost before it is known.
    Lease,
}

/// Waits until it is known. Meanwhile the lease is kept, and the runtime is free for other tasks. A failure that is retried
/// anyway is not waited for: the retry shows more than a check would.
pub(super) async fn judge(worker: &Worker, work: &Work<'_>, error: &TaskError, is_retried: bool) -> Blame {
    let failed_at = Instant::now();
    let mut findings = worker.breaker.findings();
    if may_be_the_runtimes(error.code) && worker.breaker.broken().is_some() {
        return Blame::Runtime;
    }
    if is_retried {
        return Blame::Task;
    }
    match worker.breaker.failed(&work.assignment.submission, error.code) {
        Suspicion::None => return Blame::Task,
        Suspicion::Slight => {}
        Suspicion::Strong => worker.doubt_runtime(),
    }
    tracing::info!(error.code = %error.code, "the run failed, looking whether the runtime is at fault");
    let is_about_it = |finding: &Option<Finding>| match finding {
        Some(Finding::Sound(began)) => *began >= failed_at,
        Some(Finding::Broken) => true,
        None => false,
    };
    let found = async {
        // The sender lives as long as the worker.
        let _ = findings.changed().await;
        findings.wait_for(is_about_it).await.ok().and_then(|finding| *finding)
    };
    let idle = async {
        sleep(IDLE_FOR).await;
        drop(worker.pipeline.idle().await);
        worker.doubt_runtime();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        found = found => match found {
            Some(Finding::Sound(_)) => Blame::Task,
            Some(Finding::Broken) | None => Blame::Runtime,
        },
        () = work.taken.lease.lost().cancelled() => Blame::Lease,
        () = worker.stopping.cancelled() => Blame::Nobody,
        () = idle => Blame::Task,
        () = sleep(PATIENCE) => {
            tracing::warn!("neither a run nor a check ended in time");
            Blame::Runtime
        }
    }
}

/// The end of a task that met too many broken runtimes.
pub(super) fn of_too_many(error: &TaskError) -> TaskError {
    let message = format!(
        "the runtime broke in each of {MOST_BROKEN} attempts, perhaps by this task, which is not tried again: {}",
        error.message
    );
    TaskError { code: ErrorCode::RuntimeBroken, message, ..error.clone() }.finally()
}
