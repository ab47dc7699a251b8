//! The front door's part: the record is created before the message is published.

use aws_sdk_dynamodb::types::{AttributeValue, Select};

use crate::call;
use crate::item::{self, KEY, task_key, text};
use crate::table::UNFINISHED;
use crate::{Owner, Record, RecordError, Records};

impl Records {
    /// Creates a record. An existing record with that id, of an earlier try to submit the same task, stays as it is.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn create(&self, record: &Record) -> Result<(), RecordError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item::from_record(record)?))
            .condition_expression("attribute_not_exists(#pk)")
            .expression_attribute_names("#pk", KEY);
        call::unless_condition_failed("put_item", put.send()).await.map(drop)
    }

    /// Notes that the message of a task has been published.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn published(&self, id: &str) -> Result<(), RecordError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .update_expression("SET published = :true")
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#pk", KEY)
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        call::unless_condition_failed("update_item", update.send()).await.map(drop)
    }

    /// Notes which task retries another one.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn retried(&self, id: &str, retried_as: &str) -> Result<(), RecordError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .update_expression("SET retried_as = :id")
            .condition_expression("attribute_exists(#pk)")
            .expression_attribute_names("#pk", KEY)
            .expression_attribute_values(":id", text(retried_as));
        call::unless_condition_failed("update_item", update.send()).await.map(drop)
    }

    /// Deletes the record of a task that was refused after the record had been created.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn discard(&self, id: &str) -> Result<(), RecordError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .condition_expression("attribute_not_exists(published)");
        call::unless_condition_failed("delete_item", delete.send()).await.map(drop)
    }

    /// How many unfinished tasks an owner has, counted up to `limit`. Tasks of the last second may not be counted yet: the
    /// index is eventually consistent.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn count_unfinished(&self, owner: &Owner, limit: u32) -> Result<u32, RecordError> {
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(UNFINISHED)
            .key_condition_expression("unfinished = :owner")
            .expression_attribute_values(":owner", text(owner.as_str()))
            .select(Select::Count)
            .limit(limit);
        let counted = call::result("query", query.send()).await?;
        Ok(u32::try_from(counted.count).unwrap_or_default())
    }
}
