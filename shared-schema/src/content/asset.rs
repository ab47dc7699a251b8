//! References to assets: files that a caller has uploaded, or that an earlier task yielded, in the form of Comfy API v2.
//!
//! ```json
//! {"__type": "core/ASSET", "info": {"id": "<asset id>", "hash": "blake3:...", "file_path": "photo.png"}}
//! ```

use serde_json::{Map, Value};

use crate::violation::pointer_segment;

/// A reference somewhere in a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetReference {
    /// JSON Pointer into the content.
    pub pointer: String,
    /// The id of the asset; `None` in a reference without one. Other fields are hints that decide nothing.
    pub id: Option<String>,
}

/// Whether a value is a reference, also one without an id.
pub fn is_reference(value: &Value) -> bool {
    value.get("__type").and_then(Value::as_str) == Some("core/ASSET")
}

/// All references in a content, in its order.
pub fn references(content: &Map<String, Value>) -> Vec<AssetReference> {
    let mut found = Vec::new();
    for (key, value) in content {
        find(value, format!("/{}", pointer_segment(key)), &mut found);
    }
    found
}

fn find(value: &Value, pointer: String, found: &mut Vec<AssetReference>) {
    if is_reference(value) {
        let id = value.pointer("/info/id").and_then(Value::as_str).map(str::to_owned);
        return found.push(AssetReference { pointer, id });
    }
    match value {
        Value::Array(values) => {
            for (n, value) in values.iter().enumerate() {
                find(value, format!("{pointer}/{n}"), found);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                find(value, format!("{pointer}/{}", pointer_segment(key)), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn references_are_found_wherever_they_are() {
        let reference =
            |id: Value| json!({ "__type": "core/ASSET", "info": { "id": id, "hash": "blake3:00" } });
        let content = json!({
            "a/b": { "inputs": { "image": reference(json!("x")), "list": [1, { "deep": [reference(json!("y"))] }] } },
            "2": { "inputs": { "image": reference(json!(7)), "other": { "__type": "core/OTHER" } } },
            "3": { "inputs": { "image": { "__type": "core/ASSET" } } },
        });
        let found: Vec<_> = references(content.as_object().unwrap())
            .into_iter()
            .map(|reference| (reference.pointer, reference.id))
            .collect();
        let expected = [
            ("/a~1b/inputs/image", Some("x")),
            ("/a~1b/inputs/list/1/deep/0", Some("y")),
            ("/2/inputs/image", None),
            ("/3/inputs/image", None),
        ];
        assert_eq!(found, expected.map(|(pointer, id)| (pointer.to_owned(), id.map(str::to_owned))));
    }
}
