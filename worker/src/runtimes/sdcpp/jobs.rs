//! The jobs of this worker that the server may still have.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared_schema::ErrorCode;

use super::client::Client;
use super::response::{Completed, JobState};
use crate::error::TaskError;
use crate::runtimes::left_run::{LeftRun, StillRunning};

/// Ids of jobs that may not be over. The server has no list of jobs, so a job without a known id is not found: one whose
/// submission was not answered, or whose worker died before it had written the id to its state file. Such a job runs to its end.
#[derive(Debug)]
pub(super) struct Jobs {
    open: Mutex<BTreeSet<String>>,
    /// Those of them that a run follows, which cancels its job itself.
    followed: Mutex<BTreeSet<String>>,
    left: LeftRun,
    /// The cancelled job that the server still works on.
    still_running: Mutex<Option<(String, StillRunning)>>,
}

/// The state of a job after its cancellation.
#[derive(Debug)]
pub(super) enum Cancelled {
    /// It was cancelled, or is over without results.
    Over,
    /// It was over, with these results.
    Completed(Completed),
    /// The server works on it, and cannot interrupt it.
    StillRuns,
}

/// A run follows a job.
#[must_use = "the job is an orphan when it is dropped"]
pub(super) struct Followed<'a> {
    jobs: &'a Jobs,
    id: &'a str,
}

impl Drop for Followed<'_> {
    fn drop(&mut self) {
        locked(&self.jobs.followed).remove(self.id);
    }
}

impl Jobs {
    pub(super) fn new(left: LeftRun) -> Self {
        Self { open: Mutex::default(), followed: Mutex::default(), left, still_running: Mutex::default() }
    }

    /// The server has the job, and a run follows it until the guard is dropped.
    pub(super) fn follow<'a>(&'a self, id: &'a str) -> Followed<'a> {
        locked(&self.open).insert(id.to_owned());
        locked(&self.followed).insert(id.to_owned());
        Followed { jobs: self, id }
    }

    /// The job is over.
    pub(super) fn remove(&self, id: &str) {
        locked(&self.open).remove(id);
    }

    /// The jobs that no run follows and that are not in `keep`. Those in `keep` are remembered: a previous process may have
    /// submitted them.
    pub(super) fn orphans(&self, keep: impl Iterator<Item = String>) -> Vec<String> {
        let keep: BTreeSet<String> = keep.collect();
        let mut open = locked(&self.open);
        let followed = locked(&self.followed);
        let orphans =
            open.iter().filter(|id| !keep.contains(*id) && !followed.contains(*id)).cloned().collect();
        open.extend(keep);
        orphans
    }

    /// Cancels the job, which works while it waits in the server's queue. If the server does not confirm it, the job may run.
    pub(super) async fn cancel(&self, client: &Client, id: &str) -> Cancelled {
        let state = match client.cancel(id).await {
            Ok(state) => state,
            // The response is not that of the API, or too large to be read: that of a job that is over.
            Err(error) if error.code != ErrorCode::RuntimeUnavailable => Some(JobState::Unknown),
            // The process of the server has exited, and its jobs with it.
            Err(_) if client.is_gone().await => Some(JobState::Unknown),
            Err(_) => None,
        };
        match state {
            None | Some(JobState::Queued | JobState::Generating) => {
                let mut still_running = locked(&self.still_running);
                if still_running.as_ref().is_none_or(|(other, _)| other != id) {
                    // Dropped first: a run that is dropped counts as over.
                    still_running.take();
                    *still_running = Some((id.to_owned(), self.left.begin()));
                }
                Cancelled::StillRuns
            }
            Some(state) => {
                self.remove(id);
                match state {
                    JobState::Completed(completed) => Cancelled::Completed(completed),
                    _ => Cancelled::Over,
                }
            }
        }
    }

    /// Whether the server can get another job, see [`LeftRun::check`]: always, once no cancelled job runs.
    pub(super) fn check_left_run(&self, still_runs: bool) -> Result<(), TaskError> {
        if !still_runs {
            locked(&self.still_running).take();
        }
        self.left.check()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::runtimes::left_run::UninterruptibleRun;

    #[test]
    fn a_job_that_is_not_kept_any_more_is_an_orphan_until_it_is_over() {
        let jobs = Jobs::new(LeftRun::new(UninterruptibleRun::Wait, Duration::ZERO));
        let keep = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>().into_iter();
        assert_eq!(jobs.orphans(keep(&["a", "b"])), [""; 0]);
        assert_eq!(jobs.orphans(keep(&["b"])), ["a"]);
        assert_eq!(jobs.orphans(keep(&["b"])), ["a"]);
        jobs.remove("a");
        assert_eq!(jobs.orphans(keep(&["b"])), [""; 0]);

        // A job is followed before the state file has its id.
        let following = jobs.follow("c");
        assert_eq!(jobs.orphans(keep(&["b"])), [""; 0]);
        drop(following);
        assert_eq!(jobs.orphans(keep(&["b"])), ["c"]);
    }
}
