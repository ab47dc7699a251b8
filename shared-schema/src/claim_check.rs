//! The claim check: what travels in place of a task that is too large for a message. The task itself lies in the
//! bucket, under a key that follows from its submission.
//!
//! ```json
//! {"metadata": {...}, "claim_check": {"key": "_darkroom/tasks/<hash>.json", "bytes": 3145728, "sha256": "<hex>"}}
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{Metadata, Submission, keys, message};

/// Where the task is, and by what it is known to be the one that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimCheck {
    /// The key in the bucket for results.
    pub key: String,
    /// The size of the object.
    pub bytes: u64,
    /// The SHA-256 of the object, as 64 lowercase hex digits.
    pub sha256: String,
}

/// The message that holds a claim check.
#[derive(Serialize)]
struct Reference<'a> {
    metadata: Metadata,
    claim_check: &'a ClaimCheck,
}

impl ClaimCheck {
    /// The largest object that is claimed, in bytes: well above the 6 MB that a Lambda takes, so that nobody makes a
    /// worker read without end.
    pub const MAX_BYTES: u64 = 16 * 1024 * 1024;

    /// The largest context, in bytes of JSON, that the message repeats, so that its sender is notified although the
    /// task is lost.
    pub const MAX_CONTEXT_BYTES: usize = 64 * 1024;

    /// The claim check of a submission whose task is stored as `json` ([`message::to_json`]).
    pub fn new(submission: &Submission, json: &str) -> Self {
        Self { key: keys::payload(submission), bytes: json.len() as u64, sha256: sha256(json.as_bytes()) }
    }

    /// The one that a message holds. `None` if it holds the task itself, or if what it refers to is not its own
    /// submission's: no message makes a worker read another object.
    pub fn in_message(message: &Value) -> Option<Self> {
        if message.get("content").is_some() {
            return None;
        }
        let submission = message.pointer("/metadata/submission").and_then(Value::as_str)?;
        let own = keys::payload(&Submission::parse(submission)?);
        let check = Self::deserialize(message.get("claim_check")?).ok()?;
        (check.key == own && check.bytes <= Self::MAX_BYTES).then_some(check)
    }

    /// The message that is published in place of the task with that metadata. Fields of the metadata that are not known
    /// stay with the task.
    pub fn to_message(&self, metadata: &Metadata) -> serde_json::Result<String> {
        let context = metadata.context.as_ref().map(message::publishable).transpose()?;
        let too_large = context.is_some_and(|json| json.len() > Self::MAX_CONTEXT_BYTES);
        let metadata = Metadata {
            id: metadata.id.clone(),
            runtime: metadata.runtime.clone(),
            tasktype: metadata.tasktype,
            prefix: metadata.prefix.clone(),
            context: metadata.context.clone().filter(|_| !too_large),
            start_by: metadata.start_by.clone(),
            run_timeout: metadata.run_timeout,
            submission: metadata.submission.clone(),
            assets: BTreeMap::new(),
            extra: Map::new(),
        };
        message::publishable(&Reference { metadata, claim_check: self })
    }

    /// Whether these are the bytes that were stored.
    pub fn fits(&self, object: &[u8]) -> bool {
        object.len() as u64 == self.bytes && sha256(object) == self.sha256
    }
}

/// The SHA-256 of bytes, as 64 lowercase hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Task;
    use serde_json::json;

    fn task(context: Value) -> Task {
        serde_json::from_value(json!({
            "metadata": {
                "id": 7, "runtime": "r", "tasktype": "pipeline", "prefix": "p", "context": context,
                "start_by": "2026-05-04T12:00:00Z", "run_timeout": 60, "submission": "s/1", "colour": "red",
            },
            "content": { "1": { "class_type": "A" } },
        }))
        .unwrap()
    }

    fn reference(task: &Task) -> (String, Value) {
        let json = message::to_json(task).unwrap();
        let check = ClaimCheck::new(task.metadata.submission.as_ref().unwrap(), &json);
        let message = serde_json::from_str(&check.to_message(&task.metadata).unwrap()).unwrap();
        (json, message)
    }

    #[test]
    fn a_reference_names_task_and_object_and_leads_back_to_it() {
        let (json, message) = reference(&task(json!(["\u{ffff}"])));
        assert_eq!(
            message["metadata"],
            json!({
                "id": 7, "runtime": "r", "tasktype": "pipeline", "prefix": "p", "context": ["\u{ffff}"],
                "start_by": "2026-05-04T12:00:00Z", "run_timeout": 60, "submission": "s/1",
            })
        );
        let check = ClaimCheck::in_message(&message).unwrap();
        assert!(check.fits(json.as_bytes()));
        assert!(!check.fits(json.replace('7', "8").as_bytes()));
        assert!(!check.fits(&json.as_bytes()[1..]));
    }

    #[test]
    fn a_context_that_is_large_itself_stays_with_the_task() {
        let context = |bytes: usize| json!("x".repeat(bytes - 2));
        let (_, message) = reference(&task(context(ClaimCheck::MAX_CONTEXT_BYTES)));
        assert_eq!(message["metadata"]["context"], context(ClaimCheck::MAX_CONTEXT_BYTES));
        let (_, message) = reference(&task(context(ClaimCheck::MAX_CONTEXT_BYTES + 1)));
        assert_eq!(message["metadata"].get("context"), None);
    }

    #[test]
    fn what_is_not_the_messages_own_is_no_claim_check() {
        let (_, good) = reference(&task(json!({})));
        for (pointer, value) in [
            ("/claim_check/key", json!("_darkroom/tasks/00000000000000000000000000000000.json")),
            ("/claim_check/bytes", json!(ClaimCheck::MAX_BYTES + 1)),
            ("/claim_check/bytes", json!(-1)),
            ("/claim_check", json!("x")),
            ("/metadata/submission", json!("s/2")),
            ("/metadata/submission", json!(null)),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = value.clone();
            assert_eq!(ClaimCheck::in_message(&bad), None, "{pointer} {value}");
        }
        let mut whole = good;
        whole["content"] = json!({});
        assert_eq!(ClaimCheck::in_message(&whole), None);
    }
}
