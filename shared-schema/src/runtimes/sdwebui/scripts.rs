//! What the scripts of SD WebUI open: which of their arguments hold images, and which are not taken from callers.

use serde_json::{Map, Value};

use crate::violation::pointer_segment;
use crate::{TaskType, Violation, ViolationCode};

/// A script whose arguments are objects, and what of them is a matter of safety.
pub(super) struct Script {
    name: &'static str,
    /// The fields that hold an image.
    pub(super) images: &'static [&'static str],
    /// The fields that make the runtime unpickle the caller's data, or open its own files and folders.
    refused: &'static [&'static str],
}

const CONTROL_NET: &str = "controlnet";

/// ControlNet, the extension for AUTOMATIC1111 and the one built into Forge; AnimateDiff; ADetailer.
const SCRIPTS: [Script; 3] = [
    Script {
        name: CONTROL_NET,
        images: &["image", "input_image", "mask", "mask_image", "effective_region_mask"],
        refused: &[
            "ipadapter_input",
            "batch_images",
            "batch_image_files",
            "batch_image_dir",
            "batch_mask_dir",
            "batch_input_gallery",
            "batch_mask_gallery",
            "output_dir",
        ],
    },
    Script {
        name: "animatediff",
        images: &["last_frame"],
        refused: &["video_source", "video_path", "mask_path"],
    },
    Script { name: "adetailer", images: &[], refused: &[] },
];

/// An object among the arguments of a known script.
pub(super) struct Unit<'a> {
    /// Its pointer, relative to the content.
    pub(super) pointer: String,
    pub(super) script: &'static Script,
    pub(super) fields: &'a Map<String, Value>,
}

impl Unit<'_> {
    /// Whether it belongs to the script of that name, in lower case.
    pub(super) fn is_of(&self, script: &str) -> bool {
        self.script.name == script
    }
}

/// The units of ControlNet, each with its pointer.
pub fn control_net_units(
    task_type: TaskType,
    fields: &Map<String, Value>,
) -> Vec<(String, &Map<String, Value>)> {
    let units = units(task_type, fields).into_iter().filter(|unit| unit.script.name == CONTROL_NET);
    units.map(|unit| (unit.pointer, unit.fields)).collect()
}

/// The units of all known scripts. Callers write the names of scripts as they like.
pub(super) fn units(task_type: TaskType, fields: &Map<String, Value>) -> Vec<Unit<'_>> {
    let known = arguments(task_type, fields).into_iter().filter_map(|(name, pointer, arguments)| {
        let script = SCRIPTS.iter().find(|script| name.eq_ignore_ascii_case(script.name))?;
        Some((script, pointer, arguments.as_array()?))
    });
    known
        .flat_map(|(script, at, arguments)| {
            arguments.iter().enumerate().filter_map(move |(n, unit)| {
                Some(Unit { pointer: format!("{at}/{n}"), script, fields: unit.as_object()? })
            })
        })
        .collect()
}

/// Fields that are not taken from callers, and addresses where no image field is known.
pub(super) fn violations(
    task_type: TaskType,
    fields: &Map<String, Value>,
    is_image: impl Fn(&str) -> bool,
) -> Vec<Violation> {
    let mut violations = Vec::new();
    for unit in units(task_type, fields) {
        for key in unit.script.refused.iter().filter(|key| unit.fields.get(**key).is_some_and(is_set)) {
            let message = "is not taken from callers; leave it out";
            violations.push(Violation::new(
                format!("{}/{key}", unit.pointer),
                ViolationCode::NotAllowed,
                message,
            ));
        }
    }
    for (_, pointer, arguments) in arguments(task_type, fields) {
        addresses(pointer, arguments, &mut |pointer| {
            if !is_image(&pointer) && !violations.iter().any(|violation| violation.pointer == pointer) {
                let message = "is an address, which nobody fetches here: send the image itself as base64";
                violations.push(Violation::new(pointer, ViolationCode::NotAllowed, message));
            }
        });
    }
    violations
}

/// The arguments of every script: its name, their pointer, and themselves.
fn arguments(task_type: TaskType, fields: &Map<String, Value>) -> Vec<(&str, String, &Value)> {
    if !matches!(task_type, TaskType::TextToImage | TaskType::ImageToImage) {
        return Vec::new();
    }
    let always = fields.get("alwayson_scripts").and_then(Value::as_object).into_iter().flatten();
    let always = always.filter_map(|(name, script)| {
        let pointer = format!("/alwayson_scripts/{}/args", pointer_segment(name));
        Some((name.as_str(), pointer, script.get("args")?))
    });
    let selected = fields.get("script_args").map(|arguments| ("", "/script_args".to_owned(), arguments));
    always.chain(selected).collect()
}

/// Finds every text that is an address and nothing else: a script that takes it for an image has the runtime fetch it,
/// with the runtime's rights. Texts in fields for prompts are not among these.
fn addresses(pointer: String, value: &Value, found: &mut impl FnMut(String)) {
    match value {
        Value::String(text) if is_address(text) => found(pointer),
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                addresses(format!("{pointer}/{n}"), item, found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields.iter().filter(|(key, _)| !key.contains("prompt")) {
                addresses(format!("{pointer}/{}", pointer_segment(key)), value, found);
            }
        }
        _ => {}
    }
}

fn is_address(text: &str) -> bool {
    let text = text.trim();
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    !scheme.is_empty()
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        && !text.contains(char::is_whitespace)
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(content: &Value) -> Vec<String> {
        let found = violations(TaskType::TextToImage, content.as_object().unwrap(), |pointer| {
            pointer.ends_with("/image")
        });
        found.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn what_opens_files_is_not_taken_from_callers() {
        let content = json!({"alwayson_scripts": {
            "ControlNet": {"args": [{"batch_images": "/outputs", "ipadapter_input": [], "output_dir": null}]},
            "AnimateDiff": {"args": [{"enable": true, "video_path": "/outputs", "video_source": ""}]},
        }});
        let expected = [
            "/alwayson_scripts/ControlNet/args/0/batch_images",
            "/alwayson_scripts/AnimateDiff/args/0/video_path",
        ];
        assert_eq!(refused(&content), expected);
    }

    #[test]
    fn an_address_is_refused_where_no_image_field_is_known() {
        let content = json!({
            "script_args": [1, "https://a/b.png"],
            "alwayson_scripts": {
                "reactor": {"args": ["http://169.254.169.254/", true, {"deep": ["file:///etc/passwd"]}]},
                "ControlNet": {"args": [{"image": "https://a/b.png", "model": "s3://a/b"}]},
            },
        });
        let expected = [
            "/alwayson_scripts/reactor/args/0",
            "/alwayson_scripts/reactor/args/2/deep/0",
            "/alwayson_scripts/ControlNet/args/0/model",
            "/script_args/1",
        ];
        assert_eq!(refused(&content), expected);
    }

    #[test]
    fn texts_models_and_base64_stay_what_they_are() {
        let content = json!({
            "prompt": "https://a/b.png",
            "script_args": ["a prompt about https://a/b.png", "://", "control_v11p [hash]", "/9j/4AAQSkZJRg=="],
            "alwayson_scripts": {"ADetailer": {"args": [true, {"ad_prompt": "https://a/b.png", "ad_model": "face.pt"}]}},
        });
        assert!(refused(&content).is_empty());
    }
}
