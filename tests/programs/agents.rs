//! What the predecessors' queue agents read from a message, as strictly as their Python does: where that raises,
//! this is an error.
//!
//! The first predecessor is aws-samples/stable-diffusion-on-eks, the second
//! aws-solutions-library-samples/guidance-for-asynchronous-inference-with-stable-diffusion-on-aws.

use std::collections::HashMap;

use aws_sdk_sqs::types::MessageSystemAttributeName;
use serde_json::{Map, Value};

/// The task, as an agent has read it from its message.
#[derive(Debug, PartialEq)]
pub(crate) struct Reading {
    /// `str(metadata["id"])`.
    pub(crate) id: String,
    /// `metadata["tasktype"]`.
    pub(crate) task_type: String,
    /// The folder of the task's files.
    pub(crate) folder: String,
    /// `metadata["context"]`.
    pub(crate) context: Value,
    /// `content`.
    pub(crate) content: Map<String, Value>,
}

/// The first predecessor's reading: a message without a trace ends its process.
pub(crate) fn first(
    body: &Value,
    attributes: &HashMap<MessageSystemAttributeName, String>,
) -> Result<Reading, String> {
    let header =
        attributes.get(&MessageSystemAttributeName::AwsTraceHeader).ok_or("KeyError: AWSTraceHeader")?;
    for part in ["Root", "Parent", "Sampled"] {
        if !header.split(';').any(|pair| pair.split_once('=').is_some_and(|(name, _)| name == part)) {
            return Err(format!("the trace header has no {part}: {header}"));
        }
    }
    read(body)
}

/// The second predecessor's reading: ids are cut to 64 characters.
pub(crate) fn second(body: &Value) -> Result<Reading, String> {
    let reading = read(body)?;
    let cut: String = reading.id.chars().take(64).collect();
    let folder = reading.folder.strip_suffix(&reading.id).unwrap_or_default().to_owned() + &cut;
    Ok(Reading { id: cut, folder, ..reading })
}

fn read(body: &Value) -> Result<Reading, String> {
    let text = body["Message"].as_str().ok_or("KeyError: Message")?;
    let payload: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let metadata = payload["metadata"].as_object().ok_or("KeyError: metadata")?;
    let id = match metadata.get("id") {
        Some(Value::String(id)) => id.clone(),
        Some(Value::Number(id)) => id.to_string(),
        other => return Err(format!("no id to name files with: {other:?}")),
    };
    // `metadata["prefix"][-1]`: null and the empty string have no last character.
    let folder = match metadata.get("prefix") {
        None => id.clone(),
        Some(Value::String(prefix)) if prefix.ends_with('/') => format!("{prefix}{id}"),
        Some(Value::String(prefix)) if !prefix.is_empty() => format!("{prefix}/{id}"),
        other => return Err(format!("the prefix has no last character: {other:?}")),
    };
    let task_type = metadata.get("tasktype").and_then(Value::as_str).ok_or("UnboundLocalError: tasktype")?;
    let content = payload["content"].as_object().ok_or("KeyError: content")?;
    // The agents remove keys from it.
    if !matches!(content.get("alwayson_scripts"), None | Some(Value::Object(_))) {
        return Err("alwayson_scripts is no object".to_owned());
    }
    Ok(Reading {
        id,
        task_type: task_type.to_owned(),
        folder,
        context: metadata.get("context").cloned().unwrap_or_else(|| Value::Object(Map::new())),
        content: content.clone(),
    })
}
