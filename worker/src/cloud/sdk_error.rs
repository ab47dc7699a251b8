//! Errors of AWS calls, classified in one place: is a retry worth it?

use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};

/// A failed call to AWS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service} {action} failed: {code}")]
pub struct CloudError {
    /// The service that was called.
    pub service: &'static str,
    /// The call.
    pub action: &'static str,
    /// The service's error code, or what kept an answer from coming.
    pub code: String,
    /// Whether the same call may work later.
    pub is_retryable: bool,
}

/// Codes for a call that is invalid or not allowed. Any other error may be transient.
const FINAL: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "AWS.SimpleQueueService.NonExistentQueue",
    "InvalidBucketName",
    "InvalidClientTokenId",
    "InvalidObjectState",
    "InvalidParameter",
    "InvalidParameterValue",
    "NoSuchBucket",
    "NoSuchKey",
    "NotFound",
    "NotFoundException",
    "PermanentRedirect",
    "PreconditionFailed",
    "QueueDoesNotExist",
    "ReceiptHandleIsInvalid",
    "SignatureDoesNotMatch",
];

impl CloudError {
    /// Classifies an error of the SDK. The code is kept; the SDK's text, which may name roles and ARNs, is not.
    pub fn new<E>(service: &'static str, action: &'static str, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata,
    {
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
        let is_retryable =
            !FINAL.contains(&code.as_str()) && !matches!(code.as_str(), "http_403" | "http_404" | "http_412");
        Self { service, action, code, is_retryable }
    }

    /// Whether the resource does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self.code.as_str(),
            "NoSuchKey" | "NoSuchBucket" | "NotFound" | "ResourceNotFoundException" | "http_404"
        )
    }

    /// Whether an object of that key was there before.
    pub fn exists(&self) -> bool {
        matches!(self.code.as_str(), "PreconditionFailed" | "http_412")
    }

    /// Whether the caller lacks the permission.
    pub fn is_denied(&self) -> bool {
        matches!(self.code.as_str(), "AccessDenied" | "AccessDeniedException" | "Forbidden" | "http_403")
    }
}
