//! A task: the envelope that Darkroom reads, and the content that only its runtime understands.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::deadline::whole_seconds;
use crate::{OutputPrefix, RuntimeName, StartBy, Submission, TaskId, TaskType};

/// One task, as it travels from the front door to the worker.
///
/// Fields that are not known are kept and passed on, as the predecessors did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Who it is for and where the results go.
    pub metadata: Metadata,
    /// What the runtime is asked to do, in the runtime's own words.
    pub content: Map<String, Value>,
    /// Whatever else stood beside `metadata` and `content`.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The part of a task that Darkroom itself reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metadata {
    /// The caller's name for the task.
    pub id: TaskId,
    /// The runtime it is for.
    pub runtime: RuntimeName,
    /// The kind of work.
    pub tasktype: TaskType,
    /// The beginning of the keys of its files; left out of messages when empty, since a predecessor's worker drops a
    /// message whose prefix is empty.
    #[serde(default, skip_serializing_if = "OutputPrefix::is_empty")]
    pub prefix: OutputPrefix,
    /// Any JSON of the caller's, handed back unchanged in the notification.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub context: Option<Value>,
    /// When it must have started; later it is not started any more, and expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_by: Option<StartBy>,
    /// How long its run may take, in seconds (1 to 42,000); a longer run is interrupted. A worker's own limit holds too.
    #[serde(default, deserialize_with = "whole_seconds", skip_serializing_if = "Option::is_none")]
    pub run_timeout: Option<u32>,
    /// The identity of the POST that brought it; absent in messages of a predecessor's front door.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<Submission>,
    /// The keys of the assets that the content refers to, by their ids, or by their names where a loader has a name. The front
    /// door adds them: it has checked that their owner is that of the task. A caller cannot.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assets: BTreeMap<String, String>,
    /// Whatever else stood in the metadata.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A `null` that was sent is a context like any other; only an absent one is none.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_null_context_is_kept_apart_from_none() {
        let metadata = |context: Value| {
            let mut json = json!({ "id": "a", "runtime": "r", "tasktype": "pipeline" });
            if !context.is_string() {
                json["context"] = context;
            }
            serde_json::from_value::<Metadata>(json).unwrap()
        };
        assert_eq!(metadata(Value::Null).context, Some(Value::Null));
        assert_eq!(metadata(json!("absent")).context, None);
    }
}
