//! The worker's part while it processes a task.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use serde_dynamo::aws_sdk_dynamodb_1::to_attribute_value;

use crate::call;
use crate::item::{self, KEY, number, task_key, text};
use crate::time::timestamp;
use crate::{FailedAttempt, Progress, RecordError, Records, Status};

/// Whether a task may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It may, and its record is `running`.
    Started,
    /// It has no record: the message is of a front door without records, or the record has expired.
    Unrecorded,
    /// Its owner canceled it.
    Canceled,
    /// Its record has a terminal state already.
    Finished(Status),
}

impl Records {
    /// Marks a task as running, unless it is canceled.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn start(&self, id: &str, attempt: u32, now: SystemTime) -> Result<Start, RecordError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .update_expression("SET #status = :running, started = :now, attempt = :attempt REMOVE progress")
            .condition_expression("#status IN (:queued, :running) AND attribute_not_exists(cancel_requested)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":queued", text(Status::Queued.as_str()))
            .expression_attribute_values(":running", text(Status::Running.as_str()))
            .expression_attribute_values(":now", text(timestamp(now)))
            .expression_attribute_values(":attempt", number(attempt))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let error = match call::make("update_item", update.send()).await {
            Ok(_) => return Ok(Start::Started),
            Err(error) => error,
        };
        let Some(UpdateItemError::ConditionalCheckFailedException(failed)) = error.as_service_error() else {
            return Err(RecordError::new("update_item", &error));
        };
        let Some(item) = failed.item().filter(|item| !item.is_empty()) else { return Ok(Start::Unrecorded) };
        let record = item::to_record("update_item", item.clone())?;
        Ok(match record.status {
            Status::Queued | Status::Running | Status::Canceled => Start::Canceled,
            status => Start::Finished(status),
        })
    }

    /// Whether the owner of a running task has requested to cancel it. The read is eventually consistent, which costs half.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn is_cancel_requested(&self, id: &str) -> Result<bool, RecordError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .projection_expression("cancel_requested");
        let found = call::result("get_item", get.send()).await?;
        Ok(found.item.is_some_and(|item| item.contains_key("cancel_requested")))
    }

    /// Stores the progress of a running task.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn progress(&self, id: &str, progress: &Progress) -> Result<(), RecordError> {
        let progress = to_attribute_value(progress).map_err(|_| RecordError::unreadable("update_item"))?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .update_expression("SET progress = :progress")
            .condition_expression("#status = :running")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":running", text(Status::Running.as_str()))
            .expression_attribute_values(":progress", progress);
        call::unless_condition_failed("update_item", update.send()).await.map(drop)
    }

    /// Marks a task as queued again: its message was released for another attempt, after `failed`, if that one failed.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn requeue(&self, id: &str, failed: Option<&FailedAttempt>) -> Result<(), RecordError> {
        let mut expression = "SET #status = :queued".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            // An attempt can fail before it is running.
            .condition_expression("#status IN (:queued, :running)")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":queued", text(Status::Queued.as_str()))
            .expression_attribute_values(":running", text(Status::Running.as_str()));
        if let Some(failed) = failed {
            let failed = to_attribute_value([failed]).map_err(|_| RecordError::unreadable("update_item"))?;
            expression += ", failed_attempts = list_append(if_not_exists(failed_attempts, :none), :failed)";
            update = update
                .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
                .expression_attribute_values(":failed", failed);
        }
        let update = update.update_expression(expression + " REMOVE progress");
        call::unless_condition_failed("update_item", update.send()).await.map(drop)
    }
}
