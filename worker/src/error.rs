//! Why a task failed: a stable code, a message for people, and where in the task the cause is.

use serde_json::Value;
use shared_schema::error_code::Retry;
use shared_schema::notification::Failure;
use shared_schema::printable::printable;
use shared_schema::{ErrorCode, Violation};
use tokio::time::Instant;

/// A failure of one attempt at a task.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct TaskError {
    /// The stable code, which also decides whether it is retried.
    pub code: ErrorCode,
    /// What a person should know and do. No secrets, no URLs with query strings, no paths of a server.
    pub message: String,
    /// JSON Pointer of the field at fault, relative to the task (`/content/init_images/0`).
    pub field: Option<String>,
    /// The node of the workflow at fault.
    pub node_id: Option<String>,
    /// What is wrong with the task, when it breaks the contract.
    pub violations: Vec<Violation>,
    /// The runtime's own answer, which goes into the `.out` file.
    pub reason: Option<Value>,
    /// The one retry that this failure is worth was made already.
    pub is_final: bool,
    /// The caller's own deadline was the reason, so the task is `expired`.
    pub is_expired: bool,
    /// The task is canceled.
    pub is_canceled: bool,
    /// When the runtime began to work on it, if it did.
    pub began: Option<Instant>,
}

impl TaskError {
    /// The code as text, for traces.
    pub(crate) fn code_text(&self) -> &str {
        self.code.as_str()
    }

    /// A failure with that code and message. It often contains a runtime's message, so it is made printable here, on its way
    /// to log, notification and `.out` file.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: printable(&message.into()),
            field: None,
            node_id: None,
            violations: Vec::new(),
            reason: None,
            is_final: false,
            is_expired: false,
            is_canceled: false,
            began: None,
        }
    }

    /// The same, at that field of the task.
    pub fn at_field(mut self, pointer: impl Into<String>) -> Self {
        self.field = Some(pointer.into());
        self
    }

    /// The same, at that node of the workflow.
    pub fn at_node(mut self, node_id: impl Into<String>) -> Self {
        self.node_id = Some(node_id.into());
        self
    }

    /// The same, with the runtime's answer for the `.out` file.
    pub fn with_reason(mut self, reason: Value) -> Self {
        self.reason = Some(reason);
        self
    }

    /// A task that breaks the contract.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        let message = match violations.as_slice() {
            [one] => format!("the task is invalid: {} {}", one.pointer, one.message),
            many => format!("the task is invalid in {} places; see `violations`", many.len()),
        };
        let field = violations.first().map(|violation| violation.pointer.clone());
        Self { field, violations, ..Self::new(ErrorCode::InvalidTask, message) }
    }

    /// The same, not worth another attempt.
    pub fn finally(self) -> Self {
        Self { is_final: true, ..self }
    }

    /// The same, by the caller's own deadline.
    pub fn expired(self) -> Self {
        Self { is_final: true, is_expired: true, ..self }
    }

    /// A task that its owner canceled.
    pub fn canceled() -> Self {
        let error = Self::new(ErrorCode::Canceled, "the owner of the task canceled it");
        Self { is_final: true, is_canceled: true, ..error }
    }

    /// Whether another attempt can help.
    pub fn is_retryable(&self) -> bool {
        !self.is_final && self.code.retry() == Retry::Later
    }

    /// The failure as notification and `.out` file carry it.
    pub fn failure(&self, attempts: u32) -> Failure {
        Failure {
            code: self.code,
            message: self.message.clone(),
            field: self.field.clone(),
            node_id: self.node_id.clone(),
            class_type: None,
            violations: self.violations.clone(),
            attempts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_nothing_that_a_terminal_obeys() {
        let error = TaskError::new(ErrorCode::RuntimeFailed, "\u{1b}[31mit broke\u{1b}[0m\n\u{202e}here");
        assert_eq!(error.failure(1).message, "it broke \u{fffd}here");
    }
}
