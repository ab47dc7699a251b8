//! The types of runtimes: which tasks each handles, what it accepts as their content, and how it is deployed.
//!
//! A type is a folder here and a line in [`REGISTRY`]. Several types can handle one task type, each with a content of its
//! own: a contract is looked up by both.

pub mod comfyui;
pub mod openai_images;
pub mod sdcpp;
pub mod sdwebui;

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::content::{Allowance, Enlargement, MediaField, NamedModel, NodeRules, depth, limit};
use crate::schema::Schema;
use crate::{RuntimeEntry, TaskType, Violation};

/// All types of runtimes. Where a task names no type, the first that handles its task type counts:
/// the predecessors' types come first.
pub static REGISTRY: [&dyn RuntimeContract; 4] =
    [&sdwebui::SdWebUi, &comfyui::ComfyUi, &openai_images::OpenAiImages, &sdcpp::SdCpp];

/// What one type of runtime accepts.
pub trait RuntimeContract: fmt::Debug + Sync {
    /// Its name in `RUNTIME_TYPE`, in the registry of deployed runtimes and in the configuration.
    fn name(&self) -> &'static str;

    /// The task types that it handles.
    fn tasks(&self) -> &'static [TaskContract];

    /// The files of its folder that deployments read.
    fn files(&self) -> &'static ContractFiles;

    /// The path at which a server of this type lists its checkpoints as a JSON array of names, where tasks have to name one.
    fn model_list(&self) -> Option<&'static str> {
        None
    }

    /// Everything that is wrong with a content; pointers are relative to the content. Its nesting has been checked.
    ///
    /// `runtime` adds its models and its node list, `allowance` what the deployment lets callers ask for.
    fn violations(
        &self,
        task: &TaskContract,
        content: &Value,
        runtime: Option<&RuntimeEntry>,
        allowance: Allowance<'_>,
    ) -> Vec<Violation>;

    /// Whether its contents are the bare requests of `v1alpha1`.
    fn accepts_v1alpha1(&self) -> bool {
        false
    }

    /// What to send in place of a content that is no object, where that is known.
    fn not_an_object(&self, _content: &Value) -> Option<String> {
        None
    }

    /// Removes from an accepted content what means nothing, and what only the runtime may set.
    fn tidy(&self, _content: &mut Map<String, Value>) {}

    /// The fields of a content that hold images, video or sound, in the order of the content.
    fn media_fields(&self, _task_type: TaskType, _content: &Map<String, Value>) -> Vec<MediaField> {
        Vec::new()
    }

    /// The fields of a content that name an image, a video or a sound among the runtime's files, in the order of the content.
    fn named_media(&self, _content: &Map<String, Value>) -> Vec<MediaField> {
        Vec::new()
    }

    /// How a content enlarges the images that it brings along; `None` if it does not.
    fn enlargement(&self, _task_type: TaskType, _content: &Map<String, Value>) -> Option<Enlargement> {
        None
    }

    /// The models that a content asks for; empty where models are not a matter of the task.
    fn named_models(&self, _content: &Map<String, Value>) -> Vec<NamedModel> {
        Vec::new()
    }

    /// The nodes of a content that the rules exclude; none where contents have no nodes.
    fn refused_nodes(&self, _content: &Map<String, Value>, _rules: &NodeRules) -> Vec<Violation> {
        Vec::new()
    }
}

/// Files beside a contract, as text.
#[derive(Debug)]
pub struct ContractFiles {
    /// `deployment.yaml`: what the type is called, and which fields of the configuration it needs or does not support.
    pub deployment: &'static str,
    /// `preset.yaml`: values of the chart, such as the port and the path that answers once the runtime has started.
    pub preset: &'static str,
    /// `samples.json`: a list of [`Sample`].
    pub samples: &'static str,
}

/// A small content that yields one image of a known size.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// Its task type.
    pub task_type: TaskType,
    /// Width and height of the image, in pixels.
    pub size: (u32, u32),
    /// The content.
    pub content: Value,
    /// JSON Pointers into the content, to set what a deployment limits or a user wants.
    pub fields: SampleFields,
}

/// Where a sample has what can be set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SampleFields {
    /// The width of the image.
    pub width: Vec<String>,
    /// Its height.
    pub height: Vec<String>,
    /// Sampling steps.
    pub steps: Vec<String>,
    /// What to draw.
    pub prompt: Vec<String>,
    /// The checkpoint. A sample that has one is for runtimes whose checkpoints are known.
    pub model: Vec<String>,
    /// An input image.
    pub image: Vec<String>,
}

/// One task type of one type of runtime.
#[derive(Debug)]
pub struct TaskContract {
    /// The task type.
    pub task_type: TaskType,
    /// The JSON Schema of the content.
    pub schema: LazyLock<Schema>,
}

impl dyn RuntimeContract {
    /// The folder of its sources: its name as Rust spells a module.
    pub fn folder(&self) -> String {
        self.name().replace('-', "_")
    }

    /// The task types that it handles.
    pub fn task_types(&self) -> Vec<TaskType> {
        self.tasks().iter().map(|task| task.task_type).collect()
    }

    /// Its contract for tasks of that type, if it handles them.
    pub fn task(&self, task_type: TaskType) -> Option<&'static TaskContract> {
        self.tasks().iter().find(|task| task.task_type == task_type)
    }

    /// Everything that is wrong with the content of a task, empty when nothing is; also empty for a task type that it does
    /// not handle. Pointers are relative to the content.
    ///
    /// A content passes the schema of its task type first; what a schema cannot express is checked after it, field by
    /// field, where the types of the values allow it.
    pub fn check(
        &self,
        task_type: TaskType,
        content: &Value,
        runtime: Option<&RuntimeEntry>,
        allowance: Allowance<'_>,
    ) -> Vec<Violation> {
        let Some(task) = self.task(task_type) else { return Vec::new() };
        if let Some(violation) = depth::violation(content) {
            return vec![violation];
        }
        let mut violations = self.violations(task, content, runtime, allowance);
        violations.extend(allowance.limits.max_bytes.and_then(|max_bytes| limit::bytes(content, max_bytes)));
        violations
    }
}

/// The type of runtime of that name.
pub fn by_name(name: &str) -> Option<&'static dyn RuntimeContract> {
    REGISTRY.into_iter().find(|contract| contract.name() == name)
}

/// The type of runtime that a task is meant for when only its task type is known.
pub fn default_for(task_type: TaskType) -> &'static dyn RuntimeContract {
    REGISTRY.into_iter().find(|contract| contract.task(task_type).is_some()).unwrap_or(REGISTRY[0])
}

/// The contract of tasks of that type for a runtime of that type. The default one where the type of runtime is not known,
/// or does not handle such tasks: that is a violation of its own, and the content is checked all the same.
pub fn contract(runtime_type: Option<&str>, task_type: TaskType) -> &'static dyn RuntimeContract {
    runtime_type
        .and_then(by_name)
        .filter(|contract| contract.task(task_type).is_some())
        .unwrap_or_else(|| default_for(task_type))
}

/// The [`TaskContract`] of a task type whose schema is `schemas/<task type>.schema.json` beside the invoking file.
macro_rules! task_contract {
    ($runtime:literal, $variant:ident, $name:literal) => {
        $crate::runtimes::TaskContract {
            task_type: $crate::TaskType::$variant,
            schema: std::sync::LazyLock::new(|| {
                $crate::schema::Schema::committed(
                    concat!($runtime, "/", $name),
                    include_str!(concat!("schemas/", $name, ".schema.json")),
                )
            }),
        }
    };
}
pub(crate) use task_contract;

/// The [`ContractFiles`] beside the invoking file.
macro_rules! contract_files {
    () => {
        &$crate::runtimes::ContractFiles {
            deployment: include_str!("deployment.yaml"),
            preset: include_str!("preset.yaml"),
            samples: include_str!("samples.json"),
        }
    };
}
pub(crate) use contract_files;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_type_has_a_default_which_is_a_predecessors() {
        for task_type in TaskType::ALL {
            let contract = default_for(task_type);
            assert!(contract.task(task_type).is_some(), "{task_type}");
            assert!(["sdwebui", "comfyui"].contains(&contract.name()), "{task_type}");
        }
    }

    #[test]
    fn names_are_unique_and_each_task_type_is_listed_once() {
        for (n, one) in REGISTRY.iter().enumerate() {
            assert!(REGISTRY[n + 1..].iter().all(|other| other.name() != one.name()), "{}", one.name());
            let task_types = one.task_types();
            for task_type in &task_types {
                assert_eq!(task_types.iter().filter(|other| *other == task_type).count(), 1, "{task_type}");
            }
        }
        assert!(by_name("unknown").is_none());
    }

    #[test]
    fn every_task_type_has_a_sample_that_passes_its_own_contract() {
        let limits = crate::Limits::default();
        let allowance = Allowance { settings: &[], scripts: &[], limits: &limits };
        for contract in REGISTRY {
            let samples: Vec<Sample> = serde_json::from_str(contract.files().samples).unwrap();
            for task_type in contract.task_types() {
                assert!(samples.iter().any(|sample| sample.task_type == task_type), "{task_type}");
            }
            for Sample { task_type, mut content, fields, .. } in samples {
                let SampleFields { width, height, steps, prompt, model, image } = &fields;
                for pointer in [width, height, steps, prompt, model, image].into_iter().flatten() {
                    assert!(content.pointer(pointer).is_some(), "{task_type}: {pointer}");
                }
                for pointer in image {
                    *content.pointer_mut(pointer).unwrap() = "iVBORw0KGgo=".into();
                }
                let found = contract.check(task_type, &content, None, allowance);
                assert!(found.is_empty(), "{}: {task_type}: {found:?}", contract.name());
            }
        }
    }

    #[test]
    fn a_contract_is_looked_up_by_both_types() {
        let name = |runtime_type, task_type| contract(runtime_type, task_type).name();
        assert_eq!(name(Some("comfyui"), TaskType::Pipeline), "comfyui");
        assert_eq!(name(Some("comfyui"), TaskType::TextToImage), "sdwebui");
        assert_eq!(name(Some("unknown"), TaskType::Pipeline), "comfyui");
        assert_eq!(name(Some("sdcpp"), TaskType::ImageToImage), "sdcpp");
        assert_eq!(name(None, TaskType::ImageToImage), "sdwebui");
    }
}
