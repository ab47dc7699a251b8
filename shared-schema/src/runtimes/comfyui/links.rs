//! The links between the nodes of a ComfyUI workflow.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::inputs;

/// A link from an input of a node to an output of another one.
pub(super) struct Link<'a> {
    pub(super) input: &'a str,
    /// The node that it names.
    pub(super) id: &'a str,
    /// The output of that node: a number, or a boolean, which Python counts as one.
    pub(super) output: &'a Value,
    /// The position of that node; `None` if there is no such node.
    pub(super) target: Option<usize>,
}

/// The node that a value links to, if it is a link as ComfyUI sees it (`is_link` in its `graph_utils.py`): a text and a
/// number; Python's booleans are numbers.
pub(super) fn linked_node(value: &Value) -> Option<&str> {
    parts(value).map(|(id, _)| id)
}

/// The links of each node, in the order of the nodes.
pub(super) fn links(nodes: &Map<String, Value>) -> Vec<Vec<Link<'_>>> {
    let positions: HashMap<&str, usize> = nodes.keys().enumerate().map(|(n, id)| (id.as_str(), n)).collect();
    let link = |(input, value)| {
        let (id, output) = parts(value)?;
        Some(Link { input, id, output, target: positions.get(id).copied() })
    };
    let of_node =
        |node| inputs(node).map(|(input, value)| (input.as_str(), value)).filter_map(link).collect();
    nodes.values().map(of_node).collect()
}

fn parts(value: &Value) -> Option<(&str, &Value)> {
    match value.as_array()?.as_slice() {
        [Value::String(id), output @ (Value::Number(_) | Value::Bool(_))] => Some((id, output)),
        _ => None,
    }
}
