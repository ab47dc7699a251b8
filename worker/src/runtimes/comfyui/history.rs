//! The entry of a finished job in ComfyUI's history.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::queue::Job;
use super::workflow;

/// An entry of the history. The workflow that it holds, too, is not kept: it may be large and of any depth.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub(super) struct Entry {
    /// What each node has to show, by the id of the node.
    #[serde(default)]
    pub(super) outputs: Value,
    /// How the run finished: `status_str`, `completed` and `messages`, which are `[name, data]` each.
    #[serde(default)]
    pub(super) status: Value,
}

/// Whose job an entry of the history was.
#[derive(Debug, Deserialize)]
pub(super) struct Past {
    /// As the queue had it.
    pub(super) prompt: Job,
}

impl Entry {
    /// Whether the run succeeded as a whole.
    pub(super) fn is_success(&self) -> bool {
        self.status["status_str"] == "success"
    }

    /// The nodes of the workflow for which results of an earlier job were used.
    pub(super) fn cached(&self) -> impl Iterator<Item = &str> {
        let messages = self.status["messages"].as_array().into_iter().flatten();
        let cached = messages.filter(|message| message[0] == "execution_cached");
        let nodes = cached.flat_map(|message| message[1]["nodes"].as_array().into_iter().flatten());
        nodes.filter_map(Value::as_str)
    }

    /// Whether the result of an earlier job was used for a node that yields to no other node. Of such a node the history may
    /// list nothing; a cached node that others use is no reason for a run without results.
    pub(super) fn used_a_cached_output(&self, workflow: &Map<String, Value>) -> bool {
        let used = workflow::linked_nodes(workflow);
        self.cached().any(|node| !used.contains(node))
    }

    /// The entry of a run that went on as a second job: results and messages of both, and how the second one finished. What a
    /// node names twice, since it was cached, counts once.
    pub(super) fn continued_by(&mut self, next: Self) {
        let Self { outputs, mut status } = next;
        let mut messages = self.status["messages"].as_array().cloned().unwrap_or_default();
        if let Some(more) = status.get_mut("messages").and_then(Value::as_array_mut) {
            messages.append(more);
            *more = messages;
        }
        self.status = status;
        if !self.outputs.is_object() {
            self.outputs = Value::Object(Map::new());
        }
        let Value::Object(outputs) = outputs else { return };
        for (node, shown) in outputs {
            match (self.outputs.get_mut(&node), shown) {
                (Some(Value::Object(before)), Value::Object(shown)) => {
                    for (key, items) in shown {
                        append(before.entry(key).or_insert(Value::Array(Vec::new())), items);
                    }
                }
                (_, shown) => self.outputs[&node] = shown,
            }
        }
    }
}

fn append(before: &mut Value, items: Value) {
    match (before, items) {
        (Value::Array(before), Value::Array(items)) => {
            let mut known: HashSet<String> = before.iter().map(Value::to_string).collect();
            before.extend(items.into_iter().filter(|item| known.insert(item.to_string())));
        }
        (before, items) => *before = items,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_of_several_jobs_has_the_results_of_all() {
        let mut entry = Entry {
            outputs: json!({"4": {"unfinished_batch": [true]}, "5": {"images": [{"filename": "a.png"}]}}),
            status: json!({"status_str": "success", "messages": [["execution_start", {}]]}),
        };
        entry.continued_by(Entry {
            outputs: json!({
                "4": {"gifs": [{"filename": "v.mp4"}]},
                "5": {"images": [{"filename": "a.png"}, {"filename": "b.png"}]},
                "6": {"text": ["x"]},
            }),
            status: json!({"status_str": "error", "messages": [["execution_error", {}]]}),
        });
        assert_eq!(entry.outputs["4"], json!({"unfinished_batch": [true], "gifs": [{"filename": "v.mp4"}]}));
        assert_eq!(entry.outputs["5"]["images"], json!([{"filename": "a.png"}, {"filename": "b.png"}]));
        assert_eq!(entry.outputs["6"], json!({"text": ["x"]}));
        assert_eq!(entry.status["messages"], json!([["execution_start", {}], ["execution_error", {}]]));
        assert!(!entry.is_success());
    }

    #[test]
    fn only_cached_nodes_that_no_other_node_uses_leave_nothing() {
        let workflow = json!({
            "1": {"class_type": "Loader", "inputs": {"name": "x"}},
            "2": {"class_type": "Save", "inputs": {"images": ["1", 0]}},
        });
        for (cached, is_output) in [(json!(["1"]), false), (json!(["1", "2"]), true), (json!([]), false)] {
            let messages = json!([["execution_start", {}], ["execution_cached", {"nodes": cached}]]);
            let entry = Entry { outputs: json!({}), status: json!({"messages": messages}) };
            assert_eq!(entry.used_a_cached_output(workflow.as_object().unwrap()), is_output, "{cached}");
        }
    }
}
