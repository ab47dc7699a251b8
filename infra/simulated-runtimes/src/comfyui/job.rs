//! One queued prompt.

use serde_json::{Map, Value, json};

/// A prompt that passed validation.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// Lower numbers run first.
    pub(super) number: Value,
    pub(super) id: String,
    /// Node id to node.
    pub(super) prompt: Map<String, Value>,
    pub(super) extra_data: Map<String, Value>,
    /// The output nodes that passed validation.
    pub(super) outputs: Vec<String>,
}

impl Job {
    /// As `/queue` and `/history` show it.
    pub(super) fn describe(&self) -> Value {
        json!([self.number, self.id, self.prompt, self.extra_data, self.outputs])
    }

    pub(super) fn order(&self) -> f64 {
        self.number.as_f64().unwrap_or_default()
    }

    /// The client that receives the events of this job.
    pub(super) fn client(&self) -> Option<&str> {
        self.extra_data.get("client_id").and_then(Value::as_str)
    }

    pub(super) fn class(&self, node: &str) -> &str {
        self.prompt
            .get(node)
            .and_then(|node| node.get("class_type"))
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The inputs of a node.
    pub(super) fn inputs(&self, node: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.prompt
            .get(node)
            .and_then(|node| node.get("inputs"))
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
    }

    pub(super) fn input(&self, node: &str, name: &str) -> Option<&Value> {
        self.prompt.get(node)?.get("inputs")?.get(name)
    }
}

/// Node id and output slot, if `value` is a link.
pub(super) fn link(value: &Value) -> Option<(&str, usize)> {
    match value.as_array()?.as_slice() {
        [Value::String(node), slot] => Some((node, usize::try_from(slot.as_u64()?).ok()?)),
        _ => None,
    }
}

/// Milliseconds since 1970, the unit of every time stamp here.
pub(super) fn now() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
