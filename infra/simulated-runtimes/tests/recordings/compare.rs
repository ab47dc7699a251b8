//! Compares an answer with a recorded one, value by value.

use serde_json::Value;

/// Where an answer may differ from the recording: the last part of a path (a key), and why.
pub(crate) type Tolerance = (&'static str, &'static str);

/// Asserts that `actual` has the keys, types and values of `expected`. Under a tolerated key only the type must be the same.
pub(crate) fn assert_same(what: &str, expected: &Value, actual: &Value, tolerated: &[Tolerance]) {
    let mut differences = Vec::new();
    compare(what, expected, actual, tolerated, &mut differences);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

fn compare(
    path: &str,
    expected: &Value,
    actual: &Value,
    tolerated: &[Tolerance],
    differences: &mut Vec<String>,
) {
    let key = path.rsplit('/').next().unwrap_or_default();
    if tolerated.iter().any(|(tolerated, _)| *tolerated == key) {
        if kind(expected) != kind(actual) {
            differences.push(format!("{path}: expected {}, got {actual}", kind(expected)));
        }
        return;
    }
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            let keys = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<Vec<_>>();
            if keys(expected) != keys(actual) {
                differences.push(format!(
                    "{path}: expected keys {:?}, got {:?}",
                    keys(expected),
                    keys(actual)
                ));
            }
            for (key, expected) in expected {
                let actual = actual.get(key).unwrap_or(&Value::Null);
                compare(&format!("{path}/{key}"), expected, actual, tolerated, differences);
            }
        }
        (Value::Array(expected), Value::Array(actual)) if expected.len() == actual.len() => {
            for (index, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                compare(&format!("{path}/{index}"), expected, actual, tolerated, differences);
            }
        }
        _ if expected == actual => {}
        _ => {
            let short = |value: &Value| value.to_string().chars().take(600).collect::<String>();
            differences.push(format!("{path}: expected {}, got {}", short(expected), short(actual)));
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
