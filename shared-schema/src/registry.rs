//! The runtimes that are deployed: what the front door may accept, and for whom.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::content::NodeRules;
use crate::{RuntimeName, TaskType};

/// The list of deployed runtimes, given to the front door as JSON (`RUNTIMES` or `RUNTIMES_FILE`).
///
/// An empty registry means that nothing is known: any runtime is accepted, as the predecessors did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Registry {
    entries: Vec<RuntimeEntry>,
}

/// One deployed runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeEntry {
    /// Its name, the value of the SNS attribute `runtime`.
    pub name: RuntimeName,
    /// Its type, as the worker's `RUNTIME_TYPE` names it.
    #[serde(rename = "type")]
    pub runtime_type: String,
    /// The models it serves; empty means any.
    #[serde(default)]
    pub models: Vec<String>,
    /// The task types it takes; empty means all that its type knows.
    #[serde(default)]
    pub task_types: Vec<TaskType>,
    /// What a task may ask of it.
    #[serde(default)]
    pub limits: Limits,
    /// Whether its worker understands a message that only refers to a task stored in S3.
    #[serde(default)]
    pub claim_check: bool,
    /// The only classes of nodes that its callers may use; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_nodes: Vec<String>,
    /// Classes of nodes that its callers may not use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub denied_nodes: Vec<String>,
    /// A file with the runtime's node list (the answer of `/object_info`), beside the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_file: Option<String>,
    /// The node list, once it is read.
    #[serde(skip)]
    pub nodes: Option<NodeCatalogue>,
}

/// What one task may ask for. An absent limit does not limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Width times height of one image, in pixels, after upscaling where the task asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_pixels: Option<u64>,
    /// Sampling steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Images of one task: batch size times number of batches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_images: Option<u64>,
    /// The content as JSON, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// The node classes that a runtime knows: the shape of ComfyUI's `/object_info`, of which only this is read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct NodeCatalogue(pub HashMap<String, NodeClass>);

/// One node class.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
pub struct NodeClass {
    /// Its outputs, in the order of the slots that links name.
    #[serde(default)]
    pub output: Vec<serde_json::Value>,
    /// Whether it yields results by itself.
    #[serde(default)]
    pub output_node: bool,
}

impl Registry {
    /// A registry of these runtimes.
    pub fn new(entries: Vec<RuntimeEntry>) -> Self {
        Self { entries }
    }

    /// Whether nothing is known about runtimes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All runtimes, in the order they were given.
    pub fn entries(&self) -> &[RuntimeEntry] {
        &self.entries
    }

    /// The same, to read node lists into.
    pub fn entries_mut(&mut self) -> &mut [RuntimeEntry] {
        &mut self.entries
    }

    /// The runtime of that name.
    pub fn by_name(&self, name: &str) -> Option<&RuntimeEntry> {
        self.entries.iter().find(|entry| entry.name.as_str() == name)
    }

    /// The runtime that serves a model: the first that lists it. One that lists none serves any, but only when no other
    /// claims the model.
    pub fn by_model(&self, model: &str, task_type: TaskType) -> Option<&RuntimeEntry> {
        let mut takers = self.entries.iter().filter(|entry| entry.takes(task_type));
        takers
            .clone()
            .find(|entry| !entry.models.is_empty() && entry.serves(model))
            .or_else(|| takers.find(|entry| entry.models.is_empty()))
    }
}

impl RuntimeEntry {
    /// The task types it takes.
    pub fn accepted_task_types(&self) -> Vec<TaskType> {
        let of_its_type = crate::content::task_types_of(&self.runtime_type);
        match self.task_types.as_slice() {
            [] => of_its_type.to_vec(),
            listed => listed.to_vec(),
        }
    }

    /// Whether it takes tasks of that type.
    pub fn takes(&self, task_type: TaskType) -> bool {
        self.accepted_task_types().contains(&task_type)
    }

    /// Which classes of nodes its callers may use.
    pub fn node_rules(&self) -> NodeRules {
        NodeRules { allowed: self.allowed_nodes.clone(), denied: self.denied_nodes.clone() }
    }

    /// Whether it serves that model, however the model is spelt.
    pub fn serves(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|own| same_model(own, model))
    }
}

/// Whether two spellings name one checkpoint: runtimes write titles, names with and without extension, and names
/// followed by a hash in brackets.
pub fn same_model(a: &str, b: &str) -> bool {
    bare_model_name(a) == bare_model_name(b)
}

fn bare_model_name(name: &str) -> &str {
    let name = name.trim();
    let name = match name.rsplit_once(" [") {
        Some((before, hash)) if hash.ends_with(']') => before,
        _ => name,
    };
    [".safetensors", ".ckpt", ".pt"].iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn spellings_of_one_model_are_the_same() {
        for spelling in ["sd15_b", "sd15_b.safetensors", "sd15_b.safetensors [a18cfea7eb]"] {
            assert!(same_model(spelling, "sd15_b"), "{spelling}");
        }
        assert!(!same_model("sd15_a", "sd15_b"));
    }

    #[test]
    fn a_model_is_routed_to_the_runtime_that_lists_it() {
        let registry: Registry = serde_json::from_value(json!([
            {"name": "any", "type": "sdwebui"},
            {"name": "one", "type": "sdwebui", "models": ["m.safetensors"]},
            {"name": "flow", "type": "comfyui"},
        ]))
        .unwrap();
        let route = |model| registry.by_model(model, TaskType::TextToImage).map(|entry| entry.name.as_str());
        assert_eq!(route("m"), Some("one"));
        assert_eq!(route("other"), Some("any"));
    }

    #[test]
    fn an_unknown_field_of_an_entry_is_refused() {
        let entry = json!([{"name": "a", "type": "sdwebui", "model": ["typo"]}]);
        assert!(serde_json::from_value::<Registry>(entry).is_err());
    }
}
