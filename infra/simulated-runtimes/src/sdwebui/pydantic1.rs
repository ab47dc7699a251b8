//! Checks values as pydantic 1 does, which AUTOMATIC1111 and SD.Next have: integers are truncated, and numbers
//! are converted to strings.

use serde_json::{Value, json};

use super::fields::{Kind, Violation};

/// The value as that kind, or the type of the violation and its message.
pub(super) fn coerce(value: &Value, kind: Kind) -> Result<Value, Violation> {
    if value.is_null() && !kind.takes_null() {
        return Err(("type_error.none.not_allowed", "none is not an allowed value"));
    }
    match kind {
        _ if value.is_null() => Ok(Value::Null),
        Kind::Text | Kind::TextOrNull => text(value),
        Kind::Integer | Kind::IntegerOrNull => integer(value),
        Kind::Number | Kind::NumberOrNull => number(value),
        Kind::Boolean | Kind::BooleanOrNull => boolean(value),
        Kind::Object | Kind::ObjectOrNull => {
            value.is_object().then(|| value.clone()).ok_or(("type_error.dict", "value is not a valid dict"))
        }
        Kind::List | Kind::ListOrNull | Kind::RequiredList => {
            value.is_array().then(|| value.clone()).ok_or(("type_error.list", "value is not a valid list"))
        }
    }
}

fn text(value: &Value) -> Result<Value, Violation> {
    match value {
        Value::String(_) => Ok(value.clone()),
        Value::Number(number) => Ok(json!(number.to_string())),
        Value::Bool(truth) => Ok(json!(if *truth { "True" } else { "False" })),
        _ => Err(("type_error.str", "str type expected")),
    }
}

fn integer(value: &Value) -> Result<Value, Violation> {
    let whole = match value {
        Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
        Value::Bool(truth) => Some(i64::from(*truth)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    whole.map(|whole| json!(whole)).ok_or(("type_error.integer", "value is not a valid integer"))
}

fn number(value: &Value) -> Result<Value, Violation> {
    let float = match value {
        Value::Number(number) => number.as_f64(),
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    float.map(|float| json!(float)).ok_or(("type_error.float", "value is not a valid float"))
}

fn boolean(value: &Value) -> Result<Value, Violation> {
    let truth = match value {
        Value::Bool(truth) => Some(*truth),
        Value::Number(number) => [(0.0, false), (1.0, true)]
            .into_iter()
            .find_map(|(float, truth)| (number.as_f64() == Some(float)).then_some(truth)),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "1" | "true" | "t" | "yes" | "y" | "on" => Some(true),
            "0" | "false" | "f" | "no" | "n" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    };
    truth.map(|truth| json!(truth)).ok_or(("type_error.bool", "value could not be parsed to a boolean"))
}
