//! The front door's part when an owner cancels a task.

use std::time::SystemTime;

use crate::call;
use crate::item::{self, KEY, task_key, text};
use crate::time::timestamp;
use crate::{Record, RecordError, Records, Status};

use aws_sdk_dynamodb::types::ReturnValue;

impl Records {
    /// Cancels a task that has not finished, and returns its record: a queued task is `canceled`, a running one has a request
    /// to cancel that its worker follows. A finished task is returned as it is. `None` if there is no such record.
    ///
    /// # Errors
    /// If a call failed.
    pub async fn cancel(&self, record: Record, now: SystemTime) -> Result<Option<Record>, RecordError> {
        let id = record.id.clone();
        let mut record = Some(record);
        // A task that changes its state meanwhile is read again; each state is followed by few others.
        while let Some(current) = record {
            let changed = match current.status {
                Status::Queued => self.cancel_queued(&id, now).await?,
                Status::Running if current.cancel_requested.is_none() => {
                    self.request_cancel(&id, now).await?
                }
                _ => return Ok(Some(current)),
            };
            if changed.is_some() {
                return Ok(changed);
            }
            record = self.get(&id).await?;
        }
        Ok(None)
    }

    async fn cancel_queued(&self, id: &str, now: SystemTime) -> Result<Option<Record>, RecordError> {
        let set = "SET #status = :canceled, finished = :now REMOVE unfinished";
        self.change(id, set, Status::Queued, now).await
    }

    async fn request_cancel(&self, id: &str, now: SystemTime) -> Result<Option<Record>, RecordError> {
        self.change(id, "SET cancel_requested = :now", Status::Running, now).await
    }

    /// Changes a record in that state; `None` if it has another one.
    async fn change(
        &self,
        id: &str,
        expression: &str,
        state: Status,
        now: SystemTime,
    ) -> Result<Option<Record>, RecordError> {
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .update_expression(expression)
            .condition_expression("#status = :state")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":state", text(state.as_str()))
            .expression_attribute_values(":now", text(timestamp(now)))
            .return_values(ReturnValue::AllNew);
        if expression.contains(":canceled") {
            update = update.expression_attribute_values(":canceled", text(Status::Canceled.as_str()));
        }
        let updated = call::unless_condition_failed("update_item", update.send()).await?;
        updated
            .and_then(|updated| updated.attributes)
            .map(|item| item::to_record("update_item", item))
            .transpose()
    }
}
