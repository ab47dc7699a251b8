//! `infra/config.schema.json`, and what is wrong with a file that differs from it.

use std::error::Error;
use std::sync::LazyLock;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{Retrieve, Uri, ValidationError, Validator};
use serde_json::Value;

use crate::{defaults, runtime_types};

/// The file of the part of the schema that is generated from the types of runtimes, relative to the repository.
pub(crate) const RUNTIME_TYPES_FILE: &str = "infra/runtime-types.schema.json";

/// The `$id` of that part, beside the one of the schema.
pub(crate) const RUNTIME_TYPES_ID: &str = "https://darkroom.invalid/runtime-types.schema.json";

struct Schema {
    json: Value,
    runtime_types: Value,
    validator: Validator,
}

#[expect(
    clippy::expect_used,
    reason = "the texts are part of this program, and every test of it compiles them"
)]
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
    let text = include_str!("../../config.schema.json");
    let json: Value = serde_json::from_str(text).expect("the committed schema is JSON");
    let fields = &json["$defs"]["runtime"]["properties"];
    let runtime_types = runtime_types::schema(fields, &json).expect("every type of runtime can be described");
    let options = jsonschema::draft202012::options().with_retriever(InMemory(runtime_types.clone()));
    let validator = options.build(&json).expect("the committed schema compiles");
    Schema { json, runtime_types, validator }
});

/// The part that the schema refers to; nothing is fetched from anywhere.
struct InMemory(Value);

impl Retrieve for InMemory {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn Error + Send + Sync>> {
        if uri.as_str() == RUNTIME_TYPES_ID {
            Ok(self.0.clone())
        } else {
            Err("there is no such schema".into())
        }
    }
}

/// The schema as it is committed.
pub(crate) fn config() -> &'static Value {
    &SCHEMA.json
}

/// The file with every default in its place, or everything in which it differs from the schema.
pub(crate) fn checked(mut file: Value) -> Result<Value, Vec<String>> {
    defaults::fill(&mut file, &SCHEMA.json, &SCHEMA.json);
    let errors = SCHEMA.validator.iter_errors(&file);
    let faults: Vec<String> = errors.flat_map(|error| faults(&error, "")).collect();
    if faults.is_empty() { Ok(file) } else { Err(faults) }
}

/// A runtime with these fields, and the schema's defaults for all others. Nothing is checked.
pub(crate) fn runtime(mut fields: Value) -> Value {
    defaults::fill(&mut fields, &SCHEMA.json["$defs"]["runtime"], &SCHEMA.json);
    fields
}

/// Each fault with its place, below `above` unless that is empty. Where the schema has a reason for a condition, the reason is the
/// text.
pub(crate) fn faults(error: &ValidationError<'_>, above: &str) -> Vec<String> {
    let path = error.instance_path().as_str().replace('/', ".");
    let place = format!("{above}{path}");
    let place = match place.trim_start_matches('.') {
        "" => "the file",
        place => place,
    };
    let texts = match (reason(error), error.kind()) {
        (Some(reason), Kind::Required { property }) => vec![format!("lacks `{}`: {reason}", plain(property))],
        (Some(reason), _) => vec![reason.to_owned()],
        (None, _) => described(error),
    };
    texts.into_iter().map(|text| format!("{place}: {text}")).collect()
}

/// The description of what a condition (`then` or `else`) demands.
fn reason(error: &ValidationError<'_>) -> Option<&'static str> {
    let path = error.evaluation_path().as_str();
    if !path.contains("/then/") && !path.contains("/else/") {
        return None;
    }
    let location = error.absolute_keyword_location()?.as_str();
    let (document, keyword) = location.split_once('#')?;
    let document = if document == RUNTIME_TYPES_ID { &SCHEMA.runtime_types } else { &SCHEMA.json };
    let subschema = keyword.rsplit_once('/')?.0;
    let described = match error.kind() {
        Kind::Required { property } => format!("{subschema}/properties/{}", plain(property)),
        _ => subschema.to_owned(),
    };
    document.pointer(&described)?.get("description")?.as_str()
}

/// The messages of validators in general.
fn described(error: &ValidationError<'_>) -> Vec<String> {
    match error.kind() {
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
    }
}

/// A text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
