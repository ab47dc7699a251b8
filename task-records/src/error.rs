//! Failed calls to DynamoDB.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// A failed call. The text of the service, which can name roles and tables, is not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("dynamodb {action} failed: {code}")]
pub struct RecordError {
    /// The call, such as `put_item`.
    pub action: &'static str,
    /// The service's error code, or why there was no response.
    pub code: String,
    /// Whether the same call may work later.
    pub is_retryable: bool,
}

/// Codes for a call that is invalid or not allowed (DynamoDB developer guide, "Error messages and codes").
const PERMANENT: [&str; 8] = [
    "AccessDeniedException",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "ResourceNotFoundException",
    "SerializationException",
    "UnrecognizedClientException",
    "ValidationException",
    "ItemCollectionSizeLimitExceededException",
];

impl RecordError {
    pub(crate) fn new<E: ProvideErrorMetadata>(
        action: &'static str,
        error: &SdkError<E, HttpResponse>,
    ) -> Self {
        let code = match error {
            SdkError::ServiceError(context) => match context.err().code() {
                Some(code) => code.to_owned(),
                None => format!("http_{}", context.raw().status().as_u16()),
            },
            SdkError::TimeoutError(_) => "timeout".to_owned(),
            SdkError::DispatchFailure(_) => "connection_failed".to_owned(),
            SdkError::ResponseError(_) => "bad_response".to_owned(),
            SdkError::ConstructionFailure(_) => "request_not_built".to_owned(),
            _ => "unknown".to_owned(),
        };
        let is_retryable = !PERMANENT.contains(&code.as_str()) && code != "request_not_built";
        Self { action, code, is_retryable }
    }

    /// DynamoDB left a part of a batch unprocessed again and again.
    pub(crate) fn throttled(action: &'static str) -> Self {
        Self { action, code: "ThrottlingException".to_owned(), is_retryable: true }
    }

    /// An item that this version cannot read or write.
    pub(crate) fn unreadable(action: &'static str) -> Self {
        Self { action, code: "unreadable_item".to_owned(), is_retryable: false }
    }
}
