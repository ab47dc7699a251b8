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

pub(super) fn empty_batch() -> ServiceError {
    ServiceError::same("EmptyBatchRequest", "The batch request doesn't contain any entries.")
}

pub(super) fn too_many_entries() -> ServiceError {
    ServiceError::same(
        "TooManyEntriesInBatchRequest",
        "The batch request contains more entries than permissible.",
    )
}

pub(super) fn ids_not_distinct() -> ServiceError {
    ServiceError::same(
        "BatchEntryIdsNotDistinct",
        "Two or more batch entries in the request have the same Id.",
    )
}

pub(super) fn invalid_batch_id() -> ServiceError {
    ServiceError::same(
        "InvalidBatchEntryId",
        "The Id of a batch entry in a batch request doesn't abide by the specification.",
    )
}

pub(super) fn batch_too_long() -> ServiceError {
    ServiceError::same(
        "BatchRequestTooLong",
        "The length of all the batch messages put together is more than the limit.",
    )
}
