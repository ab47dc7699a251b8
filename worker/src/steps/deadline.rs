//! The caller's own deadlines: by when a task must have begun, and how long its run may take.

use std::future::pending;
use std::time::{Duration, SystemTime};

use shared_schema::{ErrorCode, Task};
use tokio::time::sleep;

use crate::config::Config;
use crate::error::TaskError;

/// Fails a task whose `start_by` has passed.
pub(super) fn check_start(task: &Task) -> Result<(), TaskError> {
    match &task.metadata.start_by {
        Some(start_by) if start_by.passed(SystemTime::now()) => Err(begun_too_late()),
        _ => Ok(()),
    }
}

/// Returns when the task's `start_by` has passed; never, if it has none.
pub(super) async fn start_missed(task: &Task) {
    let Some(start_by) = &task.metadata.start_by else { return pending().await };
    // The clock that is slept by is not the one that the deadline is in.
    while !start_by.passed(SystemTime::now()) {
        sleep(start_by.time_left(SystemTime::now()).max(Duration::from_millis(1))).await;
    }
}

/// The failure of a task that was not begun by its `start_by`.
pub(super) fn begun_too_late() -> TaskError {
    let message = "the task was not begun by its `start_by`";
    TaskError::new(ErrorCode::DeadlinePassed, message).at_field("/metadata/start_by").expired()
}

/// The longest that a run may take: the worker's limit, or the task's own if that is shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunLimit {
    seconds: u64,
    is_own: bool,
}

impl RunLimit {
    pub(super) fn of(task: &Task, config: &Config) -> Self {
        match task.metadata.run_timeout.map(u64::from) {
            Some(seconds) if seconds < config.run_timeout_seconds => Self { seconds, is_own: true },
            _ => Self { seconds: config.run_timeout_seconds, is_own: false },
        }
    }

    pub(super) fn duration(self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    /// The failure of a run that took longer.
    pub(super) fn exceeded(self) -> TaskError {
        let message = format!("the run took more than {} s", self.seconds);
        let error = TaskError::new(ErrorCode::RunTimeout, message);
        if self.is_own { error.at_field("/metadata/run_timeout").expired() } else { error }
    }
}
