//! The caller's own deadlines: by when a task must have begun, and how long its run may take.

use std::time::{Duration, SystemTime};

use shared_schema::{ErrorCode, Task};

use crate::config::Config;
use crate::error::TaskError;

/// Fails a task whose `start_by` has passed.
pub(super) fn check_start(task: &Task) -> Result<(), TaskError> {
    match &task.metadata.start_by {
        Some(start_by) if start_by.passed(SystemTime::now()) => {
            let message = "the task was not begun by its `start_by`";
            Err(TaskError::new(ErrorCode::DeadlinePassed, message).at_field("/metadata/start_by").expired())
        }
        _ => Ok(()),
    }
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
