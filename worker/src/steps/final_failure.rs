//! A final failure, kept in the journal until it is stored and notified.

use serde::{Deserialize, Serialize};
use shared_schema::notification::Failure;

use super::journal::shortened;
use crate::error::TaskError;

/// A final failure. It is recorded before it is stored and notified: the next delivery continues from there, and
/// does not run the task again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FinalFailure {
    /// As it is notified.
    #[serde(flatten)]
    pub failure: Failure,
    /// Whether the caller's own deadline was the reason.
    #[serde(default)]
    pub is_expired: bool,
}

impl FinalFailure {
    pub(super) fn new(error: &TaskError, attempts: u32) -> Self {
        let failure = Failure { message: shortened(&error.message), ..error.failure(attempts) };
        Self { failure, is_expired: error.is_expired }
    }

    /// The same as an error. The runtime's own answer is lost.
    pub(crate) fn error(&self) -> TaskError {
        let Failure { code, message, field, node_id, violations, .. } = self.failure.clone();
        let is_expired = self.is_expired;
        TaskError { field, node_id, violations, is_expired, ..TaskError::new(code, message) }.finally()
    }
}

#[cfg(test)]
mod tests {
    use shared_schema::{ErrorCode, Violation, ViolationCode};

    use super::*;

    #[test]
    fn everything_that_is_notified_is_kept() {
        let failed =
            |message| TaskError::new(ErrorCode::RunTimeout, message).at_field("/content/steps").at_node("7");
        let invalid =
            TaskError::invalid(vec![Violation::new("/content", ViolationCode::Missing, "is missing")]);
        for error in [failed("it broke").finally(), failed("too late").expired(), invalid.finally()] {
            let written = serde_json::to_string(&FinalFailure::new(&error, 3)).unwrap();
            let read: FinalFailure = serde_json::from_str(&written).unwrap();
            assert_eq!((read.error(), read.failure.attempts), (error, 3));
        }
    }
}
