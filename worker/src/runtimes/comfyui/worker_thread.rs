//! ComfyUI's worker thread, which may die while its server goes on answering.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::time::Instant;

use crate::error::TaskError;

/// How long jobs may wait although none runs. Between two jobs the living thread unloads models if requested, and
/// collects garbage: that takes seconds.
const MAX_IDLE: Duration = Duration::from_secs(10);
/// How often that must have been observed meanwhile: a frozen server cannot be polled.
const MIN_POLLS: u32 = 5;

/// The state of the thread, as derived from all polls of the queue. Once it is dead it stays so until the process restarts,
/// though the jobs that gave it away have been deleted.
#[derive(Debug, Default)]
pub(super) struct WorkerThread(Mutex<Idleness>);

#[derive(Debug, Default)]
struct Idleness {
    /// When jobs were first seen to wait while none ran.
    since: Option<Instant>,
    /// How often they were, with nothing else between.
    looks: u32,
    is_dead: bool,
}

impl WorkerThread {
    /// A job runs.
    pub(super) fn observe_running(&self) {
        *self.lock() = Idleness::default();
    }

    /// The server cannot be reached: when it can be again, it is another process.
    pub(super) fn observe_restart(&self) {
        *self.lock() = Idleness::default();
    }

    /// Nothing waits and nothing runs: this does not revive a thread that is known to be dead.
    pub(super) fn observe_idle(&self) -> Result<(), TaskError> {
        let mut idleness = self.lock();
        if idleness.is_dead {
            return Err(dead());
        }
        *idleness = Idleness::default();
        Ok(())
    }

    /// Jobs wait and none runs. An error as soon as this is certain to be no moment between two jobs.
    pub(super) fn observe_stall(&self, now: Instant) -> Result<(), TaskError> {
        let mut idleness = self.lock();
        let since = *idleness.since.get_or_insert(now);
        idleness.looks += 1;
        idleness.is_dead |= idleness.looks >= MIN_POLLS && now.duration_since(since) >= MAX_IDLE;
        if idleness.is_dead { Err(dead()) } else { Ok(()) }
    }

    fn lock(&self) -> MutexGuard<'_, Idleness> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn dead() -> TaskError {
    let message = "the runtime accepts jobs but works on none: it has to be restarted";
    TaskError::new(ErrorCode::RuntimeStuck, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks once a second, `looks` times, and returns the result of the last one.
    fn idle_for(thread: &WorkerThread, looks: u32) -> Result<(), TaskError> {
        let start = Instant::now();
        (0..looks).map(|n| thread.observe_stall(start + Duration::from_secs(n.into()))).last().unwrap()
    }

    #[test]
    fn a_thread_that_takes_no_job_for_long_is_dead_until_the_process_restarts() {
        let thread = WorkerThread::default();
        assert_eq!(idle_for(&thread, 10), Ok(()));
        thread.observe_running();
        assert_eq!(idle_for(&thread, 11).unwrap_err().code, ErrorCode::RuntimeStuck);

        assert_eq!(thread.observe_idle().unwrap_err().code, ErrorCode::RuntimeStuck);
        assert_eq!(idle_for(&thread, 1).unwrap_err().code, ErrorCode::RuntimeStuck);
        thread.observe_restart();
        assert_eq!(thread.observe_idle(), Ok(()));
    }

    #[test]
    fn moments_between_jobs_do_not_add_up() {
        let thread = WorkerThread::default();
        for _ in 0..3 {
            assert_eq!(idle_for(&thread, 8), Ok(()));
            assert_eq!(thread.observe_idle(), Ok(()));
        }
    }

    #[test]
    fn a_server_that_stands_still_is_not_known_to_have_lost_its_thread() {
        let thread = WorkerThread::default();
        let start = Instant::now();
        for n in 0..4 {
            assert_eq!(thread.observe_stall(start + Duration::from_secs(10) * n), Ok(()));
        }
    }
}
