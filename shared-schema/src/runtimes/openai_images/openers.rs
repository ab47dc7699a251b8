//! Fields by which a server would open a file or an address. Servers add fields of their own, so they are known by how
//! they are named, and by what they hold: vLLM-Omni loads a LoRA from a `path`, SGLang writes to `perf_dump_path`, both
//! fetch the `url` of an edit, LocalAI its `file` and `ref_images`.

use serde_json::{Map, Value};

use super::limits::in_prompt;
use crate::violation::pointer_segment;
use crate::{TaskType, Violation, ViolationCode};

/// Words at the end of a name.
const NAMES: [&str; 8] = ["path", "paths", "url", "urls", "file", "files", "dir", "folder"];

/// Fields that hold words for people, or names.
const TEXTS: [&str; 6] = ["prompt", "negative_prompt", "system_prompt", "user", "model", "style"];

const INSTEAD: &str = "images to edit belong in `image` and `mask` of an image-to-image task";

/// The fields of a content, or of the `extra` arguments in its prompt, that would make the server open something.
pub(super) fn violations(
    task_type: TaskType,
    fields: &Map<String, Value>,
    extra: Option<&Value>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for (key, value) in fields {
        let is_image = task_type == TaskType::ImageToImage && matches!(key.as_str(), "image" | "mask");
        if !is_image && !TEXTS.contains(&key.as_str()) {
            field(key, value, &format!("/{}", pointer_segment(key)), &mut found);
        }
    }
    let mut of_extra = Vec::new();
    for (key, value) in extra.and_then(Value::as_object).into_iter().flatten() {
        field(key, value, "", &mut of_extra);
    }
    found.extend(of_extra.into_iter().map(in_prompt));
    found
}

fn field(key: &str, value: &Value, pointer: &str, found: &mut Vec<Violation>) {
    let name = key.trim_end_matches("[]").to_ascii_lowercase();
    let last_word = name.rsplit('_').next().unwrap_or_default();
    let is_named_so = NAMES.contains(&last_word) && !is_absent(value);
    if is_named_so || is_address(value) {
        let message = format!("would make the server open a file or an address; {INSTEAD}");
        found.push(Violation::new(pointer, ViolationCode::NotAllowed, message));
        return;
    }
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                field(key, value, &format!("{pointer}/{}", pointer_segment(key)), found);
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                field("", item, &format!("{pointer}/{n}"), found);
            }
        }
        // A form has objects as JSON in a text.
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            if let Ok(inner) = serde_json::from_str(text) {
                let mut of_inner = Vec::new();
                field(key, &inner, "", &mut of_inner);
                found.extend(
                    of_inner.into_iter().map(|inner| Violation { pointer: pointer.to_owned(), ..inner }),
                );
            }
        }
        _ => {}
    }
}

fn is_absent(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("") || value.as_bool() == Some(false)
}

/// An address of any scheme, or a path.
fn is_address(value: &Value) -> bool {
    let Some(text) = value.as_str().map(str::trim_start) else { return false };
    let is_scheme =
        |scheme: &str| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_path = ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
    // Base64 of a JPEG begins with a slash, and has no second one so early.
    let is_path = is_path && !text.starts_with("/9j/");
    is_path || text.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found(task_type: TaskType, content: &Value) -> Vec<String> {
        let fields = content.as_object().unwrap();
        let extra = super::super::extra_arguments(fields);
        let violations = violations(task_type, fields, extra.as_ref());
        violations.into_iter().map(|violation| violation.pointer).collect()
    }

    #[test]
    fn what_makes_a_server_open_something_is_refused() {
        for (content, pointer) in [
            (json!({"url": "http://10.0.0.1/"}), "/url"),
            (json!({"url[]": ["x"]}), "/url[]"),
            (json!({"file": "x.png"}), "/file"),
            (json!({"perf_dump_path": "x"}), "/perf_dump_path"),
            (json!({"lora": {"name": "a", "local_path": "b"}}), "/lora/local_path"),
            (json!({"lora": "{\"name\": \"a\", \"path\": \"b\"}"}), "/lora"),
            (json!({"ref_images": ["AAAA", "http://10.0.0.1/"]}), "/ref_images/1"),
            (json!({"extra_params": {"x": "/etc/passwd"}}), "/extra_params/x"),
            (json!({"image": "file:///etc/passwd"}), "/image"),
            (
                json!({"prompt": "<sd_cpp_extra_args>{\"lora\": [{\"path\": \"x\"}]}</sd_cpp_extra_args>"}),
                "/prompt",
            ),
        ] {
            assert_eq!(found(TaskType::TextToImage, &content), [pointer], "{content}");
        }
    }

    #[test]
    fn words_for_people_and_images_pass() {
        let content = json!({
            "prompt": "https://a/b.png, /etc/passwd", "model": "/models/x", "image": ["https://a/b.png"],
            "lora": {"name": "a", "path": null}, "seed": 1, "profile": "x", "quality": "high", "reference": "/9j/4AAQ",
        });
        assert_eq!(found(TaskType::ImageToImage, &content), [""; 0]);
    }
}
