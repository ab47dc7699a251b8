//! Actions on up to ten messages, each of which succeeds or fails by itself.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use super::messages::{OutgoingMessage, send_to, visibility};
use crate::aws::protocol::{ServiceError, integer};
use crate::aws::sqs::{Sqs, error};

/// The most bytes of all messages of a batch together ("Amazon SQS message quotas").
const BATCH_BYTES: usize = 1_048_576;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", bound(deserialize = "T: Deserialize<'de>"))]
pub(super) struct Batch<T> {
    queue_url: String,
    #[serde(default = "Vec::new")]
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Entry<T> {
    #[serde(rename = "Id")]
    id: String,
    #[serde(flatten)]
    content: T,
}

pub(super) fn send(sqs: &Sqs, batch: Batch<OutgoingMessage>) -> Result<Value, ServiceError> {
    let queue = sqs.by_url(&batch.queue_url)?;
    let size = batch.entries.iter().map(|entry| entry.content.size()).sum();
    if size > BATCH_BYTES {
        return Err(error::batch_too_long(BATCH_BYTES, size));
    }
    each(batch.entries, |message| send_to(&queue, message))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deletion {
    receipt_handle: String,
}

pub(super) fn delete(sqs: &Sqs, batch: Batch<Deletion>) -> Result<Value, ServiceError> {
    let queue = sqs.by_url(&batch.queue_url)?;
    each(batch.entries, |deletion| queue.delete(&deletion.receipt_handle).map(|()| json!({})))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VisibilityChange {
    receipt_handle: String,
    #[serde(default, deserialize_with = "integer")]
    visibility_timeout: Option<i64>,
}

pub(super) fn change_visibility(sqs: &Sqs, batch: Batch<VisibilityChange>) -> Result<Value, ServiceError> {
    let queue = sqs.by_url(&batch.queue_url)?;
    each(batch.entries, |change| {
        let timeout =
            change.visibility_timeout.ok_or_else(|| error::missing_parameter("VisibilityTimeout"))?;
        queue.change_visibility(&change.receipt_handle, visibility(timeout)?).map(|()| json!({}))
    })
}

fn each<T>(
    entries: Vec<Entry<T>>,
    mut run: impl FnMut(T) -> Result<Value, ServiceError>,
) -> Result<Value, ServiceError> {
    check_ids(&entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for Entry { id, content } in entries {
        match run(content) {
            Ok(mut output) => {
                output["Id"] = json!(id);
                successful.push(output);
            }
            Err(error) => failed.push(json!({
                "Id": id,
                "Code": error.query_code,
                "Message": error.message,
                "SenderFault": error.status.is_client_error(),
            })),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

fn check_ids<T>(entries: &[Entry<T>]) -> Result<(), ServiceError> {
    if entries.is_empty() {
        return Err(error::empty_batch());
    }
    if entries.len() > 10 {
        return Err(error::too_many_entries(entries.len()));
    }
    let mut seen = HashSet::new();
    for Entry { id, .. } in entries {
        let is_valid = (1..=80).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        if !is_valid {
            return Err(error::invalid_batch_id());
        }
        if !seen.insert(id) {
            return Err(error::ids_not_distinct(id));
        }
    }
    Ok(())
}
