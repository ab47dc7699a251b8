//! The errors of SNS.

use axum::http::StatusCode;

use crate::aws::protocol::ServiceError;

pub(super) fn invalid_parameter(reason: impl std::fmt::Display) -> ServiceError {
    ServiceError::same("InvalidParameter", format!("Invalid parameter: {reason}"))
}

pub(super) fn invalid_value(message: impl Into<String>) -> ServiceError {
    ServiceError::same("ParameterValueInvalid", message)
}

pub(super) fn topic_not_found() -> ServiceError {
    not_found("Topic does not exist")
}

pub(super) fn subscription_not_found() -> ServiceError {
    not_found("Subscription does not exist")
}

fn not_found(message: &str) -> ServiceError {
    ServiceError { status: StatusCode::NOT_FOUND, ..ServiceError::same("NotFound", message) }
}

pub(super) fn message_too_long() -> ServiceError {
    invalid_parameter("Message too long")
}
