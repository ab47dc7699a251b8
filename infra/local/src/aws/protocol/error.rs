//! Errors as both protocols write them.

use axum::http::StatusCode;

/// A refused or failed call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ServiceError {
    /// The name of the error's shape, which the JSON protocol sends as `__type`.
    pub(crate) code: &'static str,
    /// The code of the Query protocol. The JSON protocol repeats it in `x-amzn-query-error`, and boto3 shows it.
    pub(crate) query_code: &'static str,
    /// For people.
    pub(crate) message: String,
    /// 4xx is a fault of the caller, 5xx of the service.
    pub(crate) status: StatusCode,
}

impl ServiceError {
    /// A 400 answer.
    pub(crate) fn sender(code: &'static str, query_code: &'static str, message: impl Into<String>) -> Self {
        Self { code, query_code, message: message.into(), status: StatusCode::BAD_REQUEST }
    }

    /// A 400 answer whose code is the same in both protocols.
    pub(crate) fn same(code: &'static str, message: impl Into<String>) -> Self {
        Self::sender(code, code, message)
    }

    /// A 500 answer.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, ..Self::same("InternalFailure", message) }
    }

    /// A 403 answer.
    pub(crate) fn denied() -> Self {
        Self { status: StatusCode::FORBIDDEN, ..Self::same("AccessDenied", "The role does not allow this.") }
    }

    /// An action that the emulation, or the service, does not have.
    pub(crate) fn unknown_action(action: &str) -> Self {
        let message = format!("The action {action} is not valid for this web service, or not emulated.");
        Self::sender("UnsupportedOperation", "InvalidAction", message)
    }

    /// The party at fault, as both protocols name it.
    pub(crate) fn fault(&self) -> &'static str {
        if self.status.is_server_error() { "Receiver" } else { "Sender" }
    }
}
