//! The further values of a runtime's release, compared with the chart's schema of values.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use crate::schema;

#[expect(clippy::expect_used, reason = "the text is part of this program, and every test of it compiles it")]
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| {
    let text = include_str!("../../chart/values.schema.json");
    let json: Value = serde_json::from_str(text).expect("the committed schema is JSON");
    jsonschema::draft7::new(&partial(json)).expect("the committed schema compiles")
});

/// What is wrong with values that are merged over those of a release, each with its place below `values`.
pub(crate) fn faults(values: &Value) -> Vec<String> {
    VALIDATOR.iter_errors(values).flat_map(|error| schema::faults(&error, "values")).collect()
}

/// The schema without the fields that a release always has: its own values and the preset contain them.
fn partial(mut schema: Value) -> Value {
    let sections =
        schema["properties"].as_object_mut().into_iter().flat_map(|sections| sections.values_mut());
    for section in sections.filter_map(Value::as_object_mut) {
        section.remove("required");
    }
    if let Some(whole) = schema.as_object_mut() {
        whole.remove("required");
    }
    schema
}
