//! Fields that the server does not have. It ignores them silently, and the image differs from what was requested.

use std::sync::LazyLock;

use serde_json::Value;

use crate::violation::{pointer_segment, quoted};
use crate::{TaskType, Violation, ViolationCode};

/// The names of SD WebUI's fields in this API.
const FROM_SD_WEBUI: [(&str, &str); 10] = [
    ("steps", "sample_params.sample_steps"),
    ("cfg_scale", "sample_params.guidance.txt_cfg"),
    ("distilled_cfg_scale", "sample_params.guidance.distilled_guidance"),
    ("sampler_name", "sample_params.sample_method"),
    ("sampler_index", "sample_params.sample_method"),
    ("scheduler", "sample_params.scheduler"),
    ("denoising_strength", "strength"),
    ("init_images", "init_image"),
    ("mask", "mask_image"),
    ("enable_hr", "hires.enabled"),
];

/// Fields of an image-to-image task only: what makes a request one.
const OF_IMAGE_TO_IMAGE: [&str; 3] = ["init_image", "mask_image", "strength"];

static TEXT_TO_IMAGE: LazyLock<Value> =
    LazyLock::new(|| read(include_str!("schemas/text-to-image.schema.json")));
static IMAGE_TO_IMAGE: LazyLock<Value> =
    LazyLock::new(|| read(include_str!("schemas/image-to-image.schema.json")));

/// A committed schema; a test reads each.
fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

/// The fields that no schema lists, at any depth.
pub(super) fn violations(task_type: TaskType, content: &Value) -> Vec<Violation> {
    let schema = if task_type == TaskType::ImageToImage { &IMAGE_TO_IMAGE } else { &TEXT_TO_IMAGE };
    let mut found = Vec::new();
    look(schema, schema, content, "", &mut found);
    found
}

/// Compares a value with its subschema.
fn look(root: &Value, subschema: &Value, value: &Value, at: &str, found: &mut Vec<Violation>) {
    let definition = subschema["$ref"].as_str().and_then(|target| root.pointer(target.strip_prefix('#')?));
    let subschema = definition.unwrap_or(subschema);
    match value {
        Value::Object(fields) => {
            let Some(known) = subschema["properties"].as_object() else { return };
            for (name, value) in fields {
                let at = format!("{at}/{}", pointer_segment(name));
                match known.get(name) {
                    Some(subschema) => look(root, subschema, value, &at, found),
                    None => found.push(unknown(at, name)),
                }
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                look(root, &subschema["items"], item, &format!("{at}/{n}"), found);
            }
        }
        _ => {}
    }
}

fn unknown(at: String, name: &str) -> Violation {
    let is_of_content = at.rfind('/') == Some(0);
    let here = FROM_SD_WEBUI.iter().find(|(theirs, _)| is_of_content && *theirs == name);
    let message = match here {
        Some((_, here)) => format!("stable-diffusion.cpp has no field {}; use `{here}`", quoted(name)),
        None if is_of_content && OF_IMAGE_TO_IMAGE.contains(&name) => {
            format!("{} is a field of image-to-image tasks; send it as one", quoted(name))
        }
        None => {
            format!("stable-diffusion.cpp has no field {} here, and would ignore it silently", quoted(name))
        }
    };
    Violation::new(at, ViolationCode::NotAllowed, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(task_type: TaskType, content: &Value) -> Vec<(String, String)> {
        let violations = violations(task_type, content).into_iter();
        violations.map(|violation| (violation.pointer, violation.message)).collect()
    }

    #[test]
    fn both_schemas_are_read_with_their_fields() {
        for schema in [&TEXT_TO_IMAGE, &IMAGE_TO_IMAGE] {
            assert!(schema["properties"]["prompt"].is_object());
        }
        for name in OF_IMAGE_TO_IMAGE {
            assert!(
                IMAGE_TO_IMAGE["properties"][name].is_object() && TEXT_TO_IMAGE["properties"][name].is_null()
            );
        }
        for (theirs, here) in FROM_SD_WEBUI {
            assert!(IMAGE_TO_IMAGE["properties"][theirs].is_null(), "{theirs}");
            let content = here.rsplit('.').fold(json!(null), |value, name| json!({ name: value }));
            assert_eq!(found(TaskType::ImageToImage, &content), [], "{here}");
        }
    }

    #[test]
    fn what_the_server_would_leave_out_is_named_at_any_depth() {
        let content = json!({
            "steps": 20,
            "sample_params": { "guidance": { "txt_cfg": 7, "cfg": 7 } },
            "lora": [{ "path": "a", "name": "b" }],
            "ref_images": ["A"],
        });
        let found = found(TaskType::TextToImage, &content);
        let pointers: Vec<_> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(pointers, ["/steps", "/sample_params/guidance/cfg", "/lora/0/name"]);
        assert!(found[0].1.contains("use `sample_params.sample_steps`"), "{}", found[0].1);
    }

    #[test]
    fn an_image_to_start_from_makes_another_task_of_it() {
        let found = found(TaskType::TextToImage, &json!({ "init_image": "A", "strength": 0.5 }));
        assert!(found.iter().all(|(_, message)| message.contains("image-to-image")) && found.len() == 2);
    }
}
