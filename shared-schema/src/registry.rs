//! The runtimes that are deployed: what the front door may accept, and for whom.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::content::{Allowance, NodeRules};
use crate::runtimes::{self, RuntimeContract};
use crate::{RuntimeName, TaskType};

/// The list of deployed runtimes, given to the front door as JSON (`RUNTIMES` or `RUNTIMES_FILE`).
///
/// An empty registry means that nothing is known: any runtime is accepted, as the predecessors did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Registry {
    entries: Vec<RuntimeEntry>,
    /// The type of runtimes that are not listed, where it is known.
    #[serde(skip)]
    runtime_type: Option<&'static str>,
    /// Settings that tasks may override whose runtime is not known.
    #[serde(skip)]
    allowed_settings: Vec<String>,
    /// Scripts that those tasks may select.
    #[serde(skip)]
    allowed_scripts: Vec<String>,
    /// What those tasks may ask for.
    #[serde(skip)]
    limits: Limits,
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
    /// Settings of its extensions that `override_settings` may have, beside those that shape an image. Those that lead to
    /// files or addresses are refused all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_settings: Vec<String>,
    /// Scripts of SD WebUI that `script_name` may select beside `Loopback`, in any case of letters. They run with parameters of
    /// their own, which no limit bounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_scripts: Vec<String>,
    /// What an hour of its GPU costs, in US dollars: the cost of tasks is shown then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly_price: Option<f64>,
    /// A file with the runtime's node list (the answer of `/object_info`), beside the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes_file: Option<String>,
    /// The node list, once it is read.
    #[serde(skip)]
    pub nodes: Option<NodeCatalogue>,
}

/// What one task may ask for. A limit that is left out has its default: generous, and below what occupies a GPU until the
/// run times out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Width times height of one image, in pixels, after upscaling where the task asks for it.
    pub max_pixels: u64,
    /// Sampling steps.
    pub max_steps: u64,
    /// Images of one task: batch size times number of batches.
    pub max_images: u64,
    /// The content as JSON, in bytes. Without it the size of a request or a message is the bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // 8192 by 8192, as the worker's `INPUT_MAX_PIXELS`; Pillow, which runtimes write files with, warns of a
            // decompression bomb above 89,478,485 pixels.
            max_pixels: 67_108_864,
            // The page of SD WebUI offers up to 150; ComfyUI takes up to 10,000, which keep a GPU busy for hours.
            max_steps: 500,
            // More than the 100 batches that the page of SD WebUI offers; ComfyUI takes up to 4,096 latents at once.
            max_images: 128,
            max_bytes: None,
        }
    }
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
    /// Whether it has results of its own.
    #[serde(default)]
    pub output_node: bool,
}

impl Registry {
    /// A registry of these runtimes.
    pub fn new(entries: Vec<RuntimeEntry>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// The same, where runtimes that are not listed are of that type.
    pub fn with_runtime_type(self, runtime_type: &'static str) -> Self {
        Self { runtime_type: Some(runtime_type), ..self }
    }

    /// The same, with settings that tasks may override whose runtime is not known.
    pub fn with_allowed_settings(self, allowed_settings: Vec<String>) -> Self {
        Self { allowed_settings, ..self }
    }

    /// The same, with scripts that tasks may select whose runtime is not known.
    pub fn with_allowed_scripts(self, allowed_scripts: Vec<String>) -> Self {
        Self { allowed_scripts, ..self }
    }

    /// The same, with limits for tasks whose runtime is not known.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The contract of tasks of that type for that runtime.
    pub fn contract(
        &self,
        runtime: Option<&RuntimeEntry>,
        task_type: TaskType,
    ) -> &'static dyn RuntimeContract {
        let listed = runtime.map(|runtime| runtime.runtime_type.as_str());
        runtimes::contract(listed.or(self.runtime_type), task_type)
    }

    /// The contracts of the runtimes that are listed; of an empty registry those that tasks are checked against then.
    pub fn contracts(&self) -> Vec<&'static dyn RuntimeContract> {
        let defaults = TaskType::ALL.map(runtimes::default_for);
        let names: Vec<&str> = match (self.runtime_type, self.entries.as_slice()) {
            (Some(runtime_type), []) => vec![runtime_type],
            (None, []) => defaults.iter().map(|contract| contract.name()).collect(),
            (_, entries) => entries.iter().map(|entry| entry.runtime_type.as_str()).collect(),
        };
        runtimes::REGISTRY.into_iter().filter(|contract| names.contains(&contract.name())).collect()
    }

    /// What tasks for that runtime may ask for.
    pub fn allowance<'a>(&'a self, runtime: Option<&'a RuntimeEntry>) -> Allowance<'a> {
        match runtime {
            Some(RuntimeEntry { allowed_settings, allowed_scripts, limits, .. }) => {
                Allowance { settings: allowed_settings, scripts: allowed_scripts, limits }
            }
            None => Allowance {
                settings: &self.allowed_settings,
                scripts: &self.allowed_scripts,
                limits: &self.limits,
            },
        }
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

    /// The runtime that serves the model of a `v1alpha1` request: the first that lists it. One that lists none serves any, but only when no other
    /// claims the model; one whose models' hashes are not known may have it by its hash.
    pub fn by_model(&self, model: &str, task_type: TaskType) -> Option<&RuntimeEntry> {
        let mut takers = self.entries.iter().filter(|entry| entry.accepts_v1alpha1(task_type));
        takers
            .clone()
            .find(|entry| entry.lists(model))
            .or_else(|| takers.clone().find(|entry| entry.models.is_empty()))
            .or_else(|| takers.find(|entry| entry.may_serve(model)))
    }
}

impl RuntimeEntry {
    /// The task types it takes.
    pub fn accepted_task_types(&self) -> Vec<TaskType> {
        match self.task_types.as_slice() {
            [] => self.contract().map(<dyn RuntimeContract>::task_types).unwrap_or_default(),
            listed => listed.to_vec(),
        }
    }

    /// What its type accepts, if that type exists.
    pub fn contract(&self) -> Option<&'static dyn RuntimeContract> {
        runtimes::by_name(&self.runtime_type)
    }

    /// Whether it takes bare requests of `v1alpha1` for that kind of work.
    fn accepts_v1alpha1(&self, task_type: TaskType) -> bool {
        self.contract().is_some_and(|contract| contract.accepts_v1alpha1()) && self.takes(task_type)
    }

    /// Whether it takes tasks of that type.
    pub fn takes(&self, task_type: TaskType) -> bool {
        self.accepted_task_types().contains(&task_type)
    }

    /// Which classes of nodes its callers may use.
    pub fn node_rules(&self) -> NodeRules {
        NodeRules { allowed: self.allowed_nodes.clone(), denied: self.denied_nodes.clone() }
    }

    /// Whether it may serve that model, as far as its list shows: a hash can be that of any model that is listed without.
    pub fn may_serve(&self, model: &str) -> bool {
        // Lists have the 10 digits of a SHA-256, never the older hash of 8 digits.
        let may_have = |listed: &String| hash_of(listed).is_none() || model.trim().len() == 8;
        self.models.is_empty() || self.lists(model) || (is_hash(model) && self.models.iter().any(may_have))
    }

    /// Whether its list has that model, however it is spelt: by title, name, file or hash, with or without its folder.
    fn lists(&self, model: &str) -> bool {
        let by_hash = |listed: &str| {
            let hash = hash_of(listed).filter(|_| is_hash(model))?;
            let model = model.trim().to_ascii_lowercase();
            Some(model.starts_with(&hash.to_ascii_lowercase()))
        };
        let is_it = |listed: &String| same_file(listed, model) || by_hash(listed) == Some(true);
        self.models.iter().any(is_it)
    }
}

/// Whether two spellings name one checkpoint: runtimes write titles, names with and without extension, names followed by a
/// hash in brackets, folders in either manner, and hashes in either case.
pub fn same_model(a: &str, b: &str) -> bool {
    bare_model_name(a) == bare_model_name(b)
        || (is_hash(a) && is_hash(b) && a.trim().eq_ignore_ascii_case(b.trim()))
}

/// The same, when one of them may lack the folder: results name the file alone.
pub fn same_file(a: &str, b: &str) -> bool {
    let (a, b) = (bare_model_name(a), bare_model_name(b));
    let file = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
    a == b || (file(&a) == file(&b) && !(is_in_folder(&a) && is_in_folder(&b)))
}

fn is_in_folder(name: &str) -> bool {
    name.contains('/')
}

/// Whether a text can be the hash of a checkpoint: the old one of 8 digits, the short one of 10, or the whole SHA-256.
fn is_hash(text: &str) -> bool {
    let text = text.trim();
    matches!(text.len(), 8 | 10 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The hash in the brackets of a title.
fn hash_of(title: &str) -> Option<&str> {
    title.trim().strip_suffix(']')?.rsplit_once(" [").map(|(_, hash)| hash)
}

fn bare_model_name(name: &str) -> String {
    let name = name.trim();
    let name = match name.rsplit_once(" [") {
        Some((before, hash)) if hash.ends_with(']') => before,
        _ => name,
    };
    let extensions = [".safetensors", ".ckpt", ".pt", ".sft", ".gguf"];
    let name = extensions.iter().find_map(|extension| name.strip_suffix(extension)).unwrap_or(name);
    name.replace('\\', "/")
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
    fn a_model_may_be_spelt_in_every_way_that_a_server_takes() {
        let entry = |models: &[&str]| -> RuntimeEntry {
            serde_json::from_value(json!({"name": "a", "type": "sdwebui", "models": models})).unwrap()
        };
        let (plain, titled) = (entry(&["x.safetensors"]), entry(&["x.safetensors [0123456789]"]));
        let long = format!("0123456789{}", "ab".repeat(27));
        for (name, plainly, by_title) in [
            ("x", true, true),
            ("sd15\\x.safetensors [0123456789]", true, true),
            ("sd15/x", true, true),
            ("0123456789", true, true),
            (long.as_str(), true, true),
            ("9999999999", true, false),
            ("y", false, false),
            ("nope.safetensors [0123456789]", false, false),
        ] {
            assert_eq!(plain.may_serve(name), plainly, "{name}");
            assert_eq!(titled.may_serve(name), by_title, "{name}");
        }
        assert!(!entry(&["a/x"]).may_serve("b/x"));
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
