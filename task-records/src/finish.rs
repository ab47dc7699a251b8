//! The terminal state of a task: written after the commit of its `.out` file, and before the notification.

use std::time::SystemTime;

use serde::Serialize;
use serde_json::Value;
use shared_schema::notification::Notification;

use crate::call;
use crate::item::{KEY, task_key, text};
use crate::time::timestamp;
use crate::{RecordError, Records, Status};

/// The most bytes of JSON in one field of a record. Each update of an item costs one write unit per KB of the whole item, and an item
/// has at most 400 KB (DynamoDB quotas). What is larger is in the `.out` file only.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;

/// What a record gets of a committed task.
#[derive(Debug, Clone, Copy)]
pub struct Final<'a> {
    /// The committed notification, without URLs.
    pub notification: &'a Notification,
    /// The seed and the parameters that the runtime reported.
    pub reported: Option<&'a Value>,
}

impl Records {
    /// Stores the terminal state of a committed task. Nothing changes if the record has the `.out` file already, or if there
    /// is no record.
    ///
    /// # Errors
    /// If the call failed.
    pub async fn finish(&self, id: &str, result: Final<'_>, now: SystemTime) -> Result<(), RecordError> {
        let Final { notification, reported } = result;
        let status = Status::from(notification.task_status);
        let texts = [
            ("outputs", json_text(&notification.outputs)),
            ("error", notification.error.as_ref().and_then(json_text)),
            ("warnings", Some(&notification.warnings).filter(|list| !list.is_empty()).and_then(json_text)),
            ("timings", json_text(&notification.timings)),
            ("reported", reported.and_then(json_text)),
        ];
        let mut expression =
            "SET #status = :status, #out = :out, finished = if_not_exists(finished, :now)".to_owned();
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(KEY, task_key(id))
            .condition_expression("attribute_exists(#pk) AND attribute_not_exists(#out)")
            .expression_attribute_names("#pk", KEY)
            .expression_attribute_names("#status", "status")
            .expression_attribute_names("#out", "out")
            .expression_attribute_values(":status", text(status.as_str()))
            .expression_attribute_values(":out", text(&notification.output_url))
            .expression_attribute_values(":now", text(timestamp(now)));
        for (name, json) in texts {
            let Some(json) = json else { continue };
            expression += &format!(", #{name} = :{name}");
            update = update
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":{name}"), text(json));
        }
        let update = update.update_expression(expression + " REMOVE progress, unfinished");
        call::unless_condition_failed("update_item", update.send()).await.map(drop)
    }
}

/// A value as JSON, if it is not too large for a record.
fn json_text(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok().filter(|json| json.len() <= MAX_TEXT_BYTES)
}
