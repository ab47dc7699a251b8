//! `config.schema.json`, which this stack shares with the deployment, and what is said of a file that differs from it.

use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::defaults;

struct Schema {
    json: Value,
    validator: Validator,
}

#[expect(clippy::expect_used, reason = "the text is part of this program, and every test of it compiles it")]
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = include_str!("../../../config.schema.json");
    let json = serde_json::from_str(text).expect("the committed schema is JSON");
    let validator = jsonschema::draft202012::new(&json).expect("the committed schema compiles");
    Schema { json, validator }
});

/// The file with every default in its place, or everything in which it differs from the schema.
pub(super) fn checked(mut file: Value) -> Result<Value, Vec<String>> {
    defaults::fill(&mut file, &SCHEMA.json, &SCHEMA.json);
    let faults: Vec<String> = SCHEMA.validator.iter_errors(&file).flat_map(|error| faults(&error)).collect();
    if faults.is_empty() { Ok(file) } else { Err(faults) }
}

/// What the schema has as the runtime of a file that says this much of it. Nothing is checked.
pub(super) fn runtime(mut said: Value) -> Value {
    defaults::fill(&mut said, &SCHEMA.json["$defs"]["runtime"], &SCHEMA.json);
    said
}

/// The words of the deployment's own checker (`infra/cdk/lib/config/load.ts`), which are mostly Ajv's.
fn faults(error: &ValidationError<'_>) -> Vec<String> {
    let said = match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            unexpected.iter().map(|name| format!("does not know `{name}`")).collect()
        }
        Kind::Required { property } => vec![format!("lacks `{}`", plain(property))],
        Kind::Enum { options } => {
            let options: Vec<String> = options.as_array().into_iter().flatten().map(plain).collect();
            vec![format!("must be one of {}", options.join(", "))]
        }
        Kind::Pattern { pattern } => vec![format!("must look like {pattern}")],
        Kind::Type { kind: TypeKind::Single(expected) } => vec![format!("must be {expected}")],
        Kind::Minimum { limit } => vec![format!("must be >= {limit}")],
        Kind::ExclusiveMinimum { limit } => vec![format!("must be > {limit}")],
        Kind::Maximum { limit } => vec![format!("must be <= {limit}")],
        Kind::MinItems { limit } => vec![format!("must NOT have fewer than {limit} items")],
        Kind::MaxItems { limit } => vec![format!("must NOT have more than {limit} items")],
        Kind::UniqueItems => vec!["must NOT have duplicate items".to_owned()],
        Kind::MinLength { limit } => vec![format!("must NOT have fewer than {limit} characters")],
        Kind::MaxLength { limit } => vec![format!("must NOT have more than {limit} characters")],
        _ => vec![error.to_string()],
    };
    let place = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
    let place = if place.is_empty() { "the file" } else { place.as_str() };
    said.into_iter().map(|said: String| format!("{place}: {said}")).collect()
}

/// A text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
