//! How deep the content of a task nests.

use serde_json::Value;

use crate::violation::pointer_segment;
use crate::{Violation, ViolationCode};

/// The most levels of lists and objects in the content of a task, the content itself included. JSON readers stop at 127
/// levels; messages, and what runtimes answer, wrap the content in some more.
pub const MAX_CONTENT_DEPTH: usize = 64;

/// How much of the way to a deep value a pointer names.
const MAX_SEGMENTS: usize = 3;

/// A violation at the first field that nests too deep.
pub(crate) fn violation(content: &Value) -> Option<Violation> {
    let way = too_deep(content, MAX_CONTENT_DEPTH)?;
    let pointer: String = way.iter().rev().take(MAX_SEGMENTS).map(|segment| format!("/{segment}")).collect();
    let message = format!(
        "nests too deep; the content may have at most {MAX_CONTENT_DEPTH} levels of lists and objects"
    );
    Some(Violation::new(pointer, ViolationCode::TooLarge, message))
}

/// Whether a value has more levels than the content of a task may have.
pub(crate) fn is_too_deep(value: &Value) -> bool {
    too_deep(value, MAX_CONTENT_DEPTH).is_some()
}

/// The way, from its end, to the first value that has more levels than are left.
fn too_deep(value: &Value, left: usize) -> Option<Vec<String>> {
    let deeper = |segment: &dyn Fn() -> String, value: &Value| {
        let mut way = too_deep(value, left - 1)?;
        way.push(segment());
        Some(way)
    };
    match value {
        Value::Array(_) | Value::Object(_) if left == 0 => Some(Vec::new()),
        Value::Array(values) => {
            values.iter().enumerate().find_map(|(n, value)| deeper(&|| n.to_string(), value))
        }
        Value::Object(fields) => {
            fields.iter().find_map(|(key, value)| deeper(&|| pointer_segment(key), value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn nested(levels: usize) -> Value {
        (1..levels).fold(json!([]), |inner, _| json!([inner]))
    }

    #[test]
    fn the_deepest_that_is_taken_and_one_more() {
        assert_eq!(violation(&nested(MAX_CONTENT_DEPTH)), None);
        assert!(violation(&nested(MAX_CONTENT_DEPTH + 1)).is_some());
    }

    #[test]
    fn the_field_is_named() {
        let content = json!({"1": {"inputs": {"flat": [1], "a/b": nested(70)}}});
        let found = violation(&content).unwrap();
        assert_eq!((found.pointer.as_str(), found.code), ("/1/inputs/a~1b", ViolationCode::TooLarge));
        assert!(found.message.contains("at most 64 levels"), "{}", found.message);
    }
}
