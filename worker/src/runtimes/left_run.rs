//! A run that was stopped and that its server continues: it has no call that interrupts a run.

use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use shared_schema::ErrorCode;
use tokio::time::Instant;

use crate::error::TaskError;

/// What is done about a run that exceeds its time and cannot be interrupted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UninterruptibleRun {
    /// The runtime gets no other run until it is over.
    #[default]
    Wait,
    /// The runtime counts as stuck at once, so that it is restarted.
    Restart,
}

/// The value is neither `wait` nor `restart`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it must be `wait` or `restart`")]
pub struct UnknownChoice;

impl FromStr for UninterruptibleRun {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Self, UnknownChoice> {
        match text.to_ascii_lowercase().as_str() {
            "wait" => Ok(Self::Wait),
            "restart" => Ok(Self::Restart),
            _ => Err(UnknownChoice),
        }
    }
}

/// The run that was stopped and that the server still works on, if there is one. For servers that work on one run at a time.
#[derive(Debug)]
pub struct LeftRun {
    since: Arc<Mutex<Option<Instant>>>,
    choice: UninterruptibleRun,
    timeout: Duration,
}

/// The server works on the run until this is dropped.
#[must_use = "the run counts as over when it is dropped"]
#[derive(Debug)]
pub struct StillRunning(Arc<Mutex<Option<Instant>>>);

impl LeftRun {
    /// None so far. With `wait`, a run may continue for `timeout` before the runtime counts as stuck.
    pub fn new(choice: UninterruptibleRun, timeout: Duration) -> Self {
        Self { since: Arc::default(), choice, timeout }
    }

    /// The run was stopped, and the server works on it.
    pub fn begin(&self) -> StillRunning {
        *locked(&self.since) = Some(Instant::now());
        StillRunning(Arc::clone(&self.since))
    }

    /// Whether the server can get another run: `runtime_unavailable` while the run is waited for, `runtime_stuck` when the
    /// server has to be restarted.
    pub fn check(&self) -> Result<(), TaskError> {
        let Some(since) = *locked(&self.since) else { return Ok(()) };
        let is_waited_for = self.choice == UninterruptibleRun::Wait && since.elapsed() < self.timeout;
        let code = if is_waited_for { ErrorCode::RuntimeUnavailable } else { ErrorCode::RuntimeStuck };
        Err(TaskError::new(code, "the runtime still works on a run that it cannot interrupt"))
    }
}

impl Drop for StillRunning {
    fn drop(&mut self) {
        *locked(&self.0) = None;
    }
}

fn locked(since: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    since.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(choice: UninterruptibleRun, timeout: Duration) -> Option<ErrorCode> {
        let left = LeftRun::new(choice, timeout);
        assert_eq!(left.check(), Ok(()));
        let still_running = left.begin();
        let code = left.check().err().map(|error| error.code);
        drop(still_running);
        assert_eq!(left.check(), Ok(()));
        code
    }

    #[test]
    fn a_left_run_is_waited_for_or_makes_the_runtime_stuck() {
        let (long, none) = (Duration::from_secs(600), Duration::ZERO);
        assert_eq!(check(UninterruptibleRun::Wait, long), Some(ErrorCode::RuntimeUnavailable));
        assert_eq!(check(UninterruptibleRun::Wait, none), Some(ErrorCode::RuntimeStuck));
        assert_eq!(check(UninterruptibleRun::Restart, long), Some(ErrorCode::RuntimeStuck));
    }

    #[test]
    fn both_choices_are_read_and_nothing_else() {
        assert_eq!("Restart".parse(), Ok(UninterruptibleRun::Restart));
        assert_eq!("wait".parse(), Ok(UninterruptibleRun::Wait));
        assert_eq!("kill".parse::<UninterruptibleRun>(), Err(UnknownChoice));
    }
}
