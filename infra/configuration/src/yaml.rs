//! Parses YAML 1.2: `no` is a string, duplicate keys are errors, and 3.0 is the integer 3.

use serde_json::{Map, Value};
use serde_saphyr::options::MergeKeyPolicy;

/// The value of a document; an empty document is an empty object. The error contains the line.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        with_snippet: false,
    };
    let parsed: Result<Option<Value>, _> = serde_saphyr::from_str_with_options(text, options);
    let mut value = parsed.map_err(|error| error.to_string())?.unwrap_or_else(|| Value::Object(Map::new()));
    integral_floats_to_integers(&mut value);
    Ok(value)
}

fn integral_floats_to_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            // Exact up to 2^53, and above every maximum of the schema.
            if let Some(whole) = whole.filter(|whole| whole.abs() < 9e15) {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(integral_floats_to_integers),
        Value::Object(fields) => fields.values_mut().for_each(integral_floats_to_integers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
