//! YAML as the deployment's own reader takes it: version 1.2, where `no` is a text, a key stands once, and 3.0 is 3.

use serde_json::{Map, Value};
use serde_saphyr::options::MergeKeyPolicy;

/// What a text says; nothing is an empty file. The error has the line.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        underscored_numbers_as_strings: true,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        with_snippet: false,
    };
    let said: Result<Option<Value>, _> = serde_saphyr::from_str_with_options(text, options);
    let mut said = said.map_err(|error| error.to_string())?.unwrap_or_else(|| Value::Object(Map::new()));
    write_whole_numbers_as_such(&mut said);
    Ok(said)
}

fn write_whole_numbers_as_such(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let whole = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0);
            // Exact up to 2^53, and above every maximum of the schema.
            if let Some(whole) = whole.filter(|whole| whole.abs() < 9e15) {
                *value = Value::from(whole as i64);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(write_whole_numbers_as_such),
        Value::Object(fields) => fields.values_mut().for_each(write_whole_numbers_as_such),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
