//! Deletes up to ten messages, each of which succeeds or fails independently.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::aws::protocol::ServiceError;
use crate::aws::sqs::{Sqs, error};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch {
    queue_url: String,
    #[serde(default)]
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: String,
    receipt_handle: String,
}

pub(super) fn delete(sqs: &Sqs, batch: Batch) -> Result<Value, ServiceError> {
    let queue = sqs.by_url(&batch.queue_url)?;
    check_ids(&batch.entries)?;
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for Entry { id, receipt_handle } in batch.entries {
        match queue.delete(&receipt_handle) {
            Ok(()) => successful.push(json!({"Id": id})),
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

fn check_ids(entries: &[Entry]) -> Result<(), ServiceError> {
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
