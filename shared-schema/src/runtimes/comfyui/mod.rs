//! Checks of a ComfyUI workflow that need no ComfyUI: its format, its graph, what it opens, its literal sizes.

mod feeding;
mod fields;
mod file_names;
mod format;
mod graph;
mod limits;
mod links;
mod loaders;
mod node_rules;
mod openers;
mod values;

use serde_json::{Map, Value};

use crate::content::Allowance;
use crate::{RuntimeEntry, TaskType, Violation, schema};

pub use file_names::COMFYUI_JOBS_FOLDER;
pub(crate) use format::not_an_object;
pub use loaders::comfyui_path_from_start;
pub(crate) use loaders::media_fields;
pub(crate) use node_rules::violations as refused_nodes;

/// Everything that is wrong with the workflow; only its format where that is the wrong one.
pub(crate) fn violations(
    task_type: TaskType,
    content: &Value,
    runtime: Option<&RuntimeEntry>,
    allowance: Allowance<'_>,
) -> Vec<Violation> {
    if let Some(violation) = content.as_object().and_then(format::other_format) {
        return vec![violation];
    }
    let mut violations: Vec<Violation> = content.as_object().into_iter().flat_map(format::no_nodes).collect();
    violations.extend(schema::content(task_type).violations(content));
    let Some(nodes) = content.as_object() else { return violations };

    violations.extend(graph::violations(nodes, runtime.and_then(|runtime| runtime.nodes.as_ref())));
    violations.extend(loaders::violations(nodes));
    violations.extend(values::violations(nodes));
    violations.extend(limits::violations(nodes, allowance.limits));
    if let Some(runtime) = runtime {
        violations.extend(refused_nodes(nodes, &runtime.node_rules()));
    }
    violations
}

/// Takes out of nodes what ComfyUI keeps there for itself. Prompts out of its files and its history have it, and a node
/// with the `is_changed` of another run is answered from the cache of that run.
pub(crate) fn tidy(nodes: &mut Map<String, Value>) {
    for node in nodes.values_mut().filter_map(Value::as_object_mut) {
        for key in ["is_changed", "override_display_id"] {
            node.shift_remove(key);
        }
    }
}

/// The inputs of a node; none where the node has another shape.
pub(crate) fn inputs(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.get("inputs").and_then(Value::as_object).into_iter().flatten()
}

/// The class of a node, if it says one.
pub(crate) fn class_type(node: &Value) -> Option<&str> {
    node.get("class_type")?.as_str()
}
