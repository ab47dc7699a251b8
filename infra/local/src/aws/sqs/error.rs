//! The errors of SQS, with the names that both protocols give them.

use crate::aws::protocol::ServiceError;

pub(super) fn queue_does_not_exist() -> ServiceError {
    ServiceError::sender(
        "QueueDoesNotExist",
        "AWS.SimpleQueueService.NonExistentQueue",
        "The specified queue does not exist.",
    )
}

pub(super) fn queue_name_exists() -> ServiceError {
    let message = "A queue already exists with the same name and a different value for an attribute.";
    ServiceError::sender("QueueNameExists", "QueueAlreadyExists", message)
}

pub(super) fn receipt_handle_is_invalid() -> ServiceError {
    ServiceError::same("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
}

pub(super) fn message_not_inflight() -> ServiceError {
    ServiceError::sender(
        "MessageNotInflight",
        "AWS.SimpleQueueService.MessageNotInflight",
        "The message is not in flight, so its visibility timeout cannot be changed.",
    )
}

pub(super) fn over_limit() -> ServiceError {
    ServiceError::sender("OverLimit", "OverLimit", "Too many messages of this queue are in flight.")
}

pub(super) fn invalid_value(message: impl Into<String>) -> ServiceError {
    ServiceError::same("InvalidParameterValue", message)
}

pub(super) fn invalid_attribute_value(name: &str) -> ServiceError {
    ServiceError::same("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

pub(super) fn invalid_attribute_name(name: &str) -> ServiceError {
    ServiceError::same("InvalidAttributeName", format!("Unknown Attribute {name}."))
}

pub(super) fn missing_parameter(name: &str) -> ServiceError {
    ServiceError::same("MissingParameter", format!("The request must contain the parameter {name}."))
}

pub(super) fn invalid_message_contents() -> ServiceError {
    ServiceError::same(
        "InvalidMessageContents",
        "Invalid characters found: message contains characters outside XML 1.0.",
    )
}

pub(super) fn fifo_is_not_emulated() -> ServiceError {
    invalid_value("FIFO queues are not emulated: only standard queues exist here.")
}

pub(super) fn empty_batch() -> ServiceError {
    ServiceError::sender(
        "EmptyBatchRequest",
        "AWS.SimpleQueueService.EmptyBatchRequest",
        "There should be at least one entry in the request.",
    )
}

pub(super) fn too_many_entries(count: usize) -> ServiceError {
    ServiceError::sender(
        "TooManyEntriesInBatchRequest",
        "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        format!("Maximum number of entries per request are 10. You have sent {count}."),
    )
}

pub(super) fn ids_not_distinct(id: &str) -> ServiceError {
    ServiceError::sender(
        "BatchEntryIdsNotDistinct",
        "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        format!("Id {id} repeated."),
    )
}

pub(super) fn invalid_batch_id() -> ServiceError {
    ServiceError::sender(
        "InvalidBatchEntryId",
        "AWS.SimpleQueueService.InvalidBatchEntryId",
        "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 \
         letters long.",
    )
}

/// A message that cannot be persisted is not accepted.
pub(super) fn storage_failed(error: std::io::Error) -> ServiceError {
    ServiceError::internal(format!("The data folder cannot be written: {error}"))
}
