//! The errors of DynamoDB, in its JSON: `__type`, `message`, and what some errors have in addition.

use axum::http::StatusCode;
use dynoxide::DynoxideError;
use serde_json::{Value, json};

/// A refused or failed call.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// An operation that the emulation, or the service, does not have.
    #[error("The operation {0} is not valid for this web service, or not emulated.")]
    UnknownOperation(String),
    /// A transaction changes the same item. `dynoxide` runs one call at a time, so only a fault causes it.
    #[error("Transaction is ongoing for the item")]
    Conflict,
    /// All others. Some have the item, or the reasons of a transaction.
    #[error(transparent)]
    Refused(#[from] DynoxideError),
}

impl Error {
    /// 400 or 500.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::UnknownOperation(_) | Self::Conflict => StatusCode::BAD_REQUEST,
            Self::Refused(error) => {
                StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// The body of the response.
    pub(super) fn body(&self) -> Value {
        let body = |code: &str| json!({ "__type": code, "message": self.to_string() });
        match self {
            Self::UnknownOperation(_) => body("com.amazon.coral.service#UnknownOperationException"),
            Self::Conflict => body("com.amazonaws.dynamodb.v20120810#TransactionConflictException"),
            Self::Refused(error) => {
                serde_json::from_str(&error.to_json()).unwrap_or_else(|_| body(error.error_type()))
            }
        }
    }
}
