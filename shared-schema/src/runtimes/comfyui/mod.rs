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

use super::{ContractFiles, RuntimeContract, TaskContract, contract_files, task_contract};
use crate::content::{Allowance, MediaField, NodeRules};
use crate::{RuntimeEntry, TaskType, Violation};

pub use file_names::JOBS_FOLDER;
pub use loaders::is_path_from_start;

static TASKS: [TaskContract; 1] = [task_contract!("comfyui", Pipeline, "pipeline")];

/// ComfyUI.
#[derive(Debug)]
pub struct ComfyUi;

/// Loader nodes name models, any number of them: none is the model of the task.
impl RuntimeContract for ComfyUi {
    fn name(&self) -> &'static str {
        "comfyui"
    }

    fn tasks(&self) -> &'static [TaskContract] {
        &TASKS
    }

    fn files(&self) -> &'static ContractFiles {
        contract_files!()
    }

    fn model_list(&self) -> Option<&'static str> {
        Some("models/checkpoints")
    }

    /// Only the format of the workflow where that is the wrong one.
    fn violations(
        &self,
        task: &TaskContract,
        content: &Value,
        runtime: Option<&RuntimeEntry>,
        allowance: Allowance<'_>,
    ) -> Vec<Violation> {
        if let Some(violation) = content.as_object().and_then(format::other_format) {
            return vec![violation];
        }
        let mut violations: Vec<Violation> =
            content.as_object().into_iter().flat_map(format::no_nodes).collect();
        violations.extend(task.schema.violations(content));
        let Some(nodes) = content.as_object() else { return violations };

        violations.extend(graph::violations(nodes, runtime.and_then(|runtime| runtime.nodes.as_ref())));
        violations.extend(loaders::violations(nodes));
        violations.extend(values::violations(nodes));
        violations.extend(limits::violations(nodes, allowance.limits));
        if let Some(runtime) = runtime {
            violations.extend(node_rules::violations(nodes, &runtime.node_rules()));
        }
        violations
    }

    fn not_an_object(&self, content: &Value) -> Option<String> {
        format::not_an_object(content)
    }

    fn tidy(&self, content: &mut Map<String, Value>) {
        tidy(content);
    }

    fn media_fields(&self, _task_type: TaskType, content: &Map<String, Value>) -> Vec<MediaField> {
        loaders::media_fields(content)
    }

    fn named_media(&self, content: &Map<String, Value>) -> Vec<MediaField> {
        loaders::named_media(content)
    }

    fn refused_nodes(&self, content: &Map<String, Value>, rules: &NodeRules) -> Vec<Violation> {
        node_rules::violations(content, rules)
    }
}

/// Removes from nodes what ComfyUI keeps there for itself. Prompts out of its files and its history have it, and a node
/// with the `is_changed` of another run is answered from the cache of that run.
fn tidy(nodes: &mut Map<String, Value>) {
    for node in nodes.values_mut().filter_map(Value::as_object_mut) {
        for key in ["is_changed", "override_display_id"] {
            node.shift_remove(key);
        }
    }
}

/// The inputs of a node; none where the node has another shape.
fn inputs(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.get("inputs").and_then(Value::as_object).into_iter().flatten()
}

/// The class of a node, if it has one.
fn class_type(node: &Value) -> Option<&str> {
    node.get("class_type")?.as_str()
}
