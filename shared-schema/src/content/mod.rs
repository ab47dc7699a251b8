//! What a task asks its runtime to do: which runtime does it, and what is checked beyond the schema.
//!
//! A new type of runtime is a row here, its task types in [`TaskType`], their schemas, and modules of its own.

pub(crate) mod depth;
pub(crate) mod limit;

use std::fmt;

use serde_json::{Map, Value};

use crate::runtimes::{comfyui, sdwebui};
use crate::{Limits, RuntimeEntry, TaskType, Violation};

pub use crate::runtimes::comfyui::{COMFYUI_JOBS_FOLDER, comfyui_path_from_start};
pub use depth::MAX_CONTENT_DEPTH;

/// What one type of runtime takes as the content of its tasks.
struct RuntimeType {
    name: &'static str,
    task_types: &'static [TaskType],
    violations: fn(TaskType, &Value, Option<&RuntimeEntry>, Allowance<'_>) -> Vec<Violation>,
    media_fields: fn(TaskType, &Map<String, Value>) -> Vec<MediaField>,
    named_models: fn(&Map<String, Value>) -> Vec<NamedModel>,
    refused_nodes: fn(&Map<String, Value>, &NodeRules) -> Vec<Violation>,
    tidy: fn(&mut Map<String, Value>),
    not_an_object: fn(&Value) -> Option<String>,
}

static SDWEBUI: RuntimeType = RuntimeType {
    name: "sdwebui",
    task_types: &[
        TaskType::TextToImage,
        TaskType::ImageToImage,
        TaskType::ExtraSingleImage,
        TaskType::ExtraBatchImages,
    ],
    violations: sdwebui::violations,
    media_fields: sdwebui::media_fields,
    named_models: sdwebui::named_models,
    // Its contents have no nodes.
    refused_nodes: |_, _| Vec::new(),
    tidy: sdwebui::tidy,
    not_an_object: |_| None,
};

static COMFYUI: RuntimeType = RuntimeType {
    name: "comfyui",
    task_types: &[TaskType::Pipeline],
    violations: comfyui::violations,
    media_fields: |_, nodes| comfyui::media_fields(nodes),
    // Loader nodes name models, any number of them: none is the model of the task.
    named_models: |_| Vec::new(),
    refused_nodes: comfyui::refused_nodes,
    tidy: comfyui::tidy,
    not_an_object: comfyui::not_an_object,
};

static RUNTIME_TYPES: [&RuntimeType; 2] = [&SDWEBUI, &COMFYUI];

fn of(task_type: TaskType) -> &'static RuntimeType {
    match task_type {
        TaskType::TextToImage
        | TaskType::ImageToImage
        | TaskType::ExtraSingleImage
        | TaskType::ExtraBatchImages => &SDWEBUI,
        TaskType::Pipeline => &COMFYUI,
    }
}

/// A field whose value the worker may have to fetch or upload before the runtime sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct MediaField {
    /// JSON Pointer into the content.
    pub pointer: String,
    /// The value as it stands there: see [`crate::image_source::ImageSource`].
    pub value: String,
    /// What the field takes.
    pub media: Media,
}

/// Without the value: addresses hold secrets, and images are long.
impl fmt::Debug for MediaField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pointer, media, value: _ } = self;
        f.debug_struct("MediaField").field("pointer", pointer).field("media", media).finish_non_exhaustive()
    }
}

/// A checkpoint that a content asks for: the JSON Pointer of the field that names it, and the name as written there.
pub type NamedModel = (String, String);

/// What a deployment lets the callers of a runtime ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowance<'a> {
    /// Settings of extensions that a content may override ([`RuntimeEntry::allowed_settings`]).
    pub settings: &'a [String],
    /// Scripts that a content may select although they run with parameters of their own ([`RuntimeEntry::allowed_scripts`]).
    pub scripts: &'a [String],
    /// The amount of work.
    pub limits: &'a Limits,
}

/// How a task enlarges the pictures that it brings along.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Enlargement {
    /// Both sides by that factor.
    By(f64),
    /// Both sides by one factor, the least by which the picture covers that many pixels by that many.
    To {
        /// In pixels.
        width: f64,
        /// In pixels.
        height: f64,
    },
}

impl Enlargement {
    /// The pixels of an enlarged picture that has `width` times `height` of them, none of these 0.
    pub fn pixels(self, width: u64, height: u64) -> f64 {
        let (from_width, from_height) = (width as f64, height as f64);
        let factor = match self {
            Self::By(factor) => factor,
            Self::To { width, height } => (width / from_width).max(height / from_height),
        };
        from_width * from_height * factor * factor
    }
}

/// Which classes of nodes a deployment lets its callers use, by their exact names. Nodes of extensions can open files,
/// addresses and processes; nobody but the deployment knows which of those that it has installed do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeRules {
    /// Only these, unless empty.
    pub allowed: Vec<String>,
    /// None of these, allowed or not.
    pub denied: Vec<String>,
}

impl NodeRules {
    /// Whether nodes of that class may be used.
    pub fn let_through(&self, class: &str) -> bool {
        let lists = |names: &[String]| names.iter().any(|name| name == class);
        (self.allowed.is_empty() || lists(&self.allowed)) && !lists(&self.denied)
    }
}

/// What a media field takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Media {
    /// A still image.
    Image,
    /// A video, or an animated image.
    Video,
    /// A sound file, or the sound of a video.
    Audio,
}

impl Media {
    /// Whether such a field takes a file of that media type (`image/png`).
    pub fn takes(self, content_type: &str) -> bool {
        let kinds: &[&str] = match self {
            Self::Image => &["image/"],
            Self::Video => &["video/", "image/"],
            Self::Audio => &["audio/", "video/"],
        };
        kinds.iter().any(|kind| content_type.starts_with(kind))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "an image",
            Self::Video => "a video or an animated image",
            Self::Audio => "a sound file",
        })
    }
}

/// The types of runtimes, as the worker's `RUNTIME_TYPE` and the registry name them.
pub fn runtime_types() -> impl Iterator<Item = &'static str> {
    RUNTIME_TYPES.iter().map(|runtime_type| runtime_type.name)
}

/// The task types that a type of runtime knows; none for a type that does not exist.
pub fn task_types_of(runtime_type: &str) -> &'static [TaskType] {
    RUNTIME_TYPES.iter().find(|known| known.name == runtime_type).map_or(&[], |known| known.task_types)
}

/// The type of runtime that does tasks of that type.
pub fn runtime_type_of(task_type: TaskType) -> &'static str {
    of(task_type).name
}

/// Everything that is wrong with the content of a task; empty when nothing is. Pointers are relative to the content.
///
/// `runtime` adds its models and its node list, `allowance` what the deployment lets callers ask for
/// ([`crate::Registry::allowance`]). The content passes the schema of its task type first; what a schema cannot express is
/// checked here, field by field, where the types of the values allow it.
pub fn violations(
    task_type: TaskType,
    content: &Value,
    runtime: Option<&RuntimeEntry>,
    allowance: Allowance<'_>,
) -> Vec<Violation> {
    if let Some(violation) = depth::violation(content) {
        return vec![violation];
    }
    let mut violations = (of(task_type).violations)(task_type, content, runtime, allowance);
    violations.extend(allowance.limits.max_bytes.and_then(|max_bytes| limit::bytes(content, max_bytes)));
    violations
}

/// What to send in place of a content that is no object, where that is known.
pub fn not_an_object(task_type: TaskType, content: &Value) -> Option<String> {
    (of(task_type).not_an_object)(content)
}

/// Takes out of an accepted content what says nothing, and what is the runtime's own and no caller's to say.
pub fn tidy(task_type: TaskType, content: &mut Map<String, Value>) {
    (of(task_type).tidy)(content);
}

/// Whether a deployment may let its callers override that setting: none that leads to files or addresses.
pub fn may_be_allowed(setting: &str) -> bool {
    sdwebui::may_be_allowed(setting)
}

/// Whether a content may override that setting, where the deployment allows those `allowed` of extensions.
pub fn is_overridable(setting: &str, allowed: &[String]) -> bool {
    sdwebui::is_overridable(setting, allowed)
}

/// The fields of a content that hold images (in loader nodes also video and sound), in the order of the content.
pub fn media_fields(task_type: TaskType, content: &Map<String, Value>) -> Vec<MediaField> {
    (of(task_type).media_fields)(task_type, content)
}

/// How a content enlarges its pictures; `None` if it does not. How large they are is known once they were fetched.
pub fn enlargement(task_type: TaskType, content: &Map<String, Value>) -> Option<Enlargement> {
    sdwebui::enlargement(task_type, content)
}

/// The units of ControlNet in a content of SD WebUI, each with its JSON Pointer; none in other contents.
pub fn control_net_units(
    task_type: TaskType,
    content: &Map<String, Value>,
) -> Vec<(String, &Map<String, Value>)> {
    sdwebui::control_net_units(task_type, content)
}

/// The nodes of a content that the rules leave out; none where contents have no nodes.
pub fn refused_nodes(task_type: TaskType, content: &Map<String, Value>, rules: &NodeRules) -> Vec<Violation> {
    (of(task_type).refused_nodes)(content, rules)
}

/// The checkpoints that a content asks for, each with its pointer; empty where models are no matter of the task.
pub fn named_models(task_type: TaskType, content: &Map<String, Value>) -> Vec<NamedModel> {
    (of(task_type).named_models)(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_type_belongs_to_the_runtime_type_that_lists_it() {
        for task_type in TaskType::ALL {
            let owners: Vec<&str> =
                runtime_types().filter(|name| task_types_of(name).contains(&task_type)).collect();
            assert_eq!(owners, [runtime_type_of(task_type)], "{task_type}");
        }
        assert!(task_types_of("unknown").is_empty());
    }

    #[test]
    fn what_is_printed_of_a_field_holds_no_secret() {
        let value = "https://user:SECRET@a/b?sig=SECRET".to_owned();
        let field = MediaField { pointer: "/mask".to_owned(), value, media: Media::Image };
        let printed = format!("{field:?}");
        assert!(printed.contains("/mask") && !printed.contains("SECRET"), "{printed}");
    }
}
