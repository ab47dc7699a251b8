//! The message on the wire: the task as JSON, with the SNS attribute that chooses its queue, and its way back out of
//! the envelope that SNS puts around it.

use serde::Serialize;
use serde_json::Value;

use crate::{OutputPrefix, RuntimeName, Submission, Task, TaskId, TaskType};

/// The SNS attribute by which subscriptions filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// To the queue of that runtime.
    Runtime(RuntimeName),
    /// To whichever queue filters by that model: the predecessors' way, when no registry is known.
    Model(String),
}

impl Route {
    /// The attribute that names a runtime.
    pub const RUNTIME: &'static str = "runtime";
    /// The attribute that names a model.
    pub const MODEL: &'static str = "sd_model_checkpoint";

    /// Name and value of the attribute.
    pub fn attribute(&self) -> (&'static str, &str) {
        match self {
            Self::Runtime(name) => (Self::RUNTIME, name.as_str()),
            Self::Model(model) => (Self::MODEL, model),
        }
    }
}

/// The task as it is published.
pub fn to_json(task: &Task) -> serde_json::Result<String> {
    publishable(task)
}

/// Whether SNS and SQS take a text as the value of an attribute: every character must be one of XML 1.0's (SQS API
/// reference, `SendMessage`).
pub fn is_attribute(text: &str) -> bool {
    let is_of_xml = |c: char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().all(is_of_xml)
}

/// Why a text is no value of an attribute, for messages.
pub(crate) const NO_ATTRIBUTE: &str = "must not contain control characters, U+FFFE or U+FFFF";

/// JSON that SNS and SQS take.
///
/// SQS takes every character that XML 1.0 allows (SQS API reference, `SendMessage`). JSON escapes control characters by
/// itself; the two others that XML does not allow are escaped here.
pub(crate) fn publishable(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    // One search per character: a search for either looks at every character of what may be a large image.
    if json.contains('\u{fffe}') || json.contains('\u{ffff}') {
        return Ok(json.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"));
    }
    Ok(json)
}

/// What came out of a queue: the task's JSON, unchecked, and the id that SNS gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Unwrapped {
    /// The published JSON.
    pub message: Value,
    /// The MessageId of the SNS envelope; absent for raw delivery.
    pub sns_message_id: Option<String>,
}

/// Why a body is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The body is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// The body is an SNS envelope, but what it carries is not JSON.
    #[error("the message in the SNS envelope is not JSON")]
    MessageNotJson,
    /// The body is JSON, but neither an envelope nor a task.
    #[error("the body is neither an SNS envelope nor a task")]
    NoTask,
}

/// Takes a body out of its SNS envelope, if it has one: both ways of delivery are read.
pub fn unwrap(body: &str) -> Result<Unwrapped, Unreadable> {
    let body: Value = serde_json::from_str(body).map_err(|_| Unreadable::NotJson)?;
    let (message, sns_message_id) = match body.get("Message") {
        Some(Value::String(text)) if body.get("metadata").is_none() => {
            let message = serde_json::from_str(text).map_err(|_| Unreadable::MessageNotJson)?;
            (message, body.get("MessageId").and_then(Value::as_str).map(str::to_owned))
        }
        _ => (body, None),
    };
    match message {
        Value::Object(_) if message.get("metadata").is_some() => Ok(Unwrapped { message, sns_message_id }),
        _ => Err(Unreadable::NoTask),
    }
}

/// What can be read of a message that breaks the contract, so that its sender is still notified.
#[derive(Debug, Clone, PartialEq)]
pub struct Sender {
    /// The caller's id.
    pub id: TaskId,
    /// The prefix, if it is a safe one.
    pub prefix: OutputPrefix,
    /// The caller's context.
    pub context: Option<Value>,
    /// The task type, if it is one of ours.
    pub task_type: Option<TaskType>,
}

/// Reads what it can of a message's metadata. `None` if there is no usable id.
pub fn sender(message: &Value) -> Option<Sender> {
    let metadata = message.get("metadata")?;
    let id = TaskId::from_json(metadata.get("id")?).ok()?;
    let prefix =
        metadata.get("prefix").and_then(Value::as_str).and_then(|text| OutputPrefix::parse(text).ok());
    let prefix = prefix.filter(|prefix| crate::keys::out_fits(prefix, &id)).unwrap_or_default();
    crate::keys::out_fits(&prefix, &id).then(|| Sender {
        id,
        prefix,
        context: metadata.get("context").cloned(),
        task_type: metadata.get("tasktype").and_then(Value::as_str).and_then(TaskType::parse),
    })
}

/// The identity of the work in a message: the submission that our front door minted, else the id that SNS gave the
/// message, else the one that SQS gave it. Redeliveries and duplicates share it.
pub fn submission(message: &Value, sns_message_id: Option<&str>, sqs_message_id: &str) -> Option<Submission> {
    let minted = message.pointer("/metadata/submission").and_then(Value::as_str);
    [minted, sns_message_id, Some(sqs_message_id)].into_iter().flatten().find_map(Submission::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_ways_of_delivery_are_read() {
        let task = json!({"metadata": {"id": "a"}, "content": {}});
        let raw = unwrap(&task.to_string()).unwrap();
        assert_eq!((raw.message, raw.sns_message_id), (task.clone(), None));

        let envelope = json!({"Type": "Notification", "MessageId": "m", "Message": task.to_string()});
        let enveloped = unwrap(&envelope.to_string()).unwrap();
        assert_eq!((enveloped.message, enveloped.sns_message_id.as_deref()), (task, Some("m")));
    }

    #[test]
    fn what_is_no_message_is_told_apart() {
        assert_eq!(unwrap("{nope"), Err(Unreadable::NotJson));
        assert_eq!(unwrap("[1]"), Err(Unreadable::NoTask));
        assert_eq!(unwrap(r#"{"Message": "{nope"}"#), Err(Unreadable::MessageNotJson));
    }

    #[test]
    fn the_submission_falls_back_to_the_message_ids() {
        let minted = json!({"metadata": {"submission": "s"}});
        let none = json!({"metadata": {}});
        let of = |message, sns| submission(message, sns, "sqs").map(|submission| submission.to_string());
        assert_eq!(of(&minted, Some("sns")).as_deref(), Some("s"));
        assert_eq!(of(&none, Some("sns")).as_deref(), Some("sns"));
        assert_eq!(of(&none, None).as_deref(), Some("sqs"));
    }

    #[test]
    fn characters_that_sqs_does_not_take_are_escaped() {
        let task = json!({
            "metadata": { "id": "a", "runtime": "r", "tasktype": "pipeline" },
            "content": { "text": "\u{fffe}\u{ffff}\u{1}" },
        });
        let task: Task = serde_json::from_value(task).unwrap();
        let json = to_json(&task).unwrap();
        assert!(json.contains(r"\ufffe\uffff\u0001"), "{json}");
        assert_eq!(serde_json::from_str::<Task>(&json).unwrap(), task);
    }

    #[test]
    fn attributes_have_the_characters_of_xml_only() {
        for text in ["", "sd", "v1-5 猫 🎛\t\r\n\u{7f}\u{fffd}\u{1ffff}"] {
            assert!(is_attribute(text), "{text:?}");
        }
        for text in ["\0", "a\u{1f}", "\u{b}", "\u{fffe}", "a\u{ffff}"] {
            assert!(!is_attribute(text), "{text:?}");
        }
    }

    #[test]
    fn a_sender_is_found_without_its_unsafe_prefix() {
        let message =
            json!({"metadata": {"id": 7, "prefix": "../x", "context": [1], "tasktype": "pipeline"}});
        let sender = sender(&message).unwrap();
        assert_eq!(sender.task_type, Some(TaskType::Pipeline));
        assert_eq!(sender.id.as_str(), "7");
        assert!(sender.prefix.is_empty());
        assert_eq!(sender.context, Some(json!([1])));
    }
}
