//! Checks of a ComfyUI workflow that need no ComfyUI: its format, its graph, what it opens, its literal sizes.

mod fields;
mod file_names;
mod graph;
mod limits;
mod loaders;
mod node_rules;
mod values;

use serde_json::{Map, Value};

use crate::violation::quoted;
use crate::{RuntimeEntry, TaskType, Violation, ViolationCode, schema};

pub use file_names::COMFYUI_JOBS_FOLDER;
pub use loaders::comfyui_path_from_start;
pub(super) use loaders::media_fields;
pub(super) use node_rules::violations as refused_nodes;

/// Everything that is wrong with the workflow; only its format where that is the wrong one.
pub(super) fn violations(
    task_type: TaskType,
    content: &Value,
    runtime: Option<&RuntimeEntry>,
) -> Vec<Violation> {
    if let Some(violation) = content.as_object().and_then(other_format) {
        return vec![violation];
    }
    let mut violations = schema::content(task_type).violations(content);
    let Some(nodes) = content.as_object() else { return violations };

    violations.extend(graph::violations(nodes, runtime.and_then(|runtime| runtime.nodes.as_ref())));
    violations.extend(loaders::violations(nodes));
    violations.extend(values::violations(nodes));
    if let Some(runtime) = runtime {
        violations.extend(limits::violations(nodes, &runtime.limits));
        violations.extend(refused_nodes(nodes, &runtime.node_rules()));
    }
    violations
}

/// The inputs of a node; none where the node has another shape.
pub(super) fn inputs(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.get("inputs").and_then(Value::as_object).into_iter().flatten()
}

/// The class of a node, if it says one.
pub(super) fn class_type(node: &Value) -> Option<&str> {
    node.get("class_type")?.as_str()
}

/// The formats that people send in place of the API format: the editor's own, and a request to ComfyUI itself.
fn other_format(content: &Map<String, Value>) -> Option<Violation> {
    if is_editor_format(content) {
        let message =
            "this is the editor's own format; export the workflow with `Export (API)` and send that";
        return Some(Violation::new("", ViolationCode::EditorFormat, message));
    }
    ["prompt", "workflow"].into_iter().find_map(|wrapper| {
        let inner = content.get(wrapper)?.as_object()?;
        let message = if inner.contains_key("class_type") {
            return None; // A node whose id is that word.
        } else if is_editor_format(inner) {
            "this is the editor's own format; export the workflow with `Export (API)` and send that"
                .to_owned()
        } else {
            format!("send the value of {} itself as the content", quoted(wrapper))
        };
        Some(Violation::new("", ViolationCode::EditorFormat, message))
    })
}

fn is_editor_format(content: &Map<String, Value>) -> bool {
    ["nodes", "links"].iter().all(|key| content.get(*key).is_some_and(Value::is_array))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn other_formats_are_named_once_with_what_to_send_instead() {
        for (content, hint) in [
            (json!({"nodes": [], "links": [], "version": 0.4}), "Export (API)"),
            (json!({"workflow": {"nodes": [], "links": []}}), "Export (API)"),
            (
                json!({"prompt": {"1": {"class_type": "A", "inputs": {}}}, "client_id": "x"}),
                "`prompt` itself",
            ),
        ] {
            let found = violations(TaskType::Pipeline, &content, None);
            assert_eq!(found.len(), 1, "{content}");
            assert_eq!(found[0].code, ViolationCode::EditorFormat);
            assert!(found[0].message.contains(hint), "{}", found[0].message);
        }
    }

    #[test]
    fn a_node_may_be_called_prompt() {
        let content = json!({"prompt": {"class_type": "A", "inputs": {}}});
        assert!(violations(TaskType::Pipeline, &content, None).is_empty());
    }
}
