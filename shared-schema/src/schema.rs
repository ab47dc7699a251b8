//! The committed JSON Schemas (draft 2020-12), compiled once, and their errors in our own words.

use std::collections::HashSet;
use std::sync::LazyLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternCache, PatternOptions, ValidationError, Validator};
use serde_json::Value;

use crate::violation::{listed, pointer_segment, quoted};
use crate::{Violation, ViolationCode};

/// One committed schema, ready to check with.
#[derive(Debug)]
pub struct Schema {
    name: &'static str,
    text: &'static str,
    json: Value,
    validator: Validator,
}

/// Schemas share their patterns, which take longest to compile.
static PATTERNS: LazyLock<PatternCache> = LazyLock::new(PatternCache::new);

/// The schema of an envelope, compiled when it is first used.
macro_rules! envelope {
    ($name:literal) => {
        LazyLock::new(|| Schema::committed($name, include_str!(concat!("envelope/", $name, ".schema.json"))))
    };
}

static V1: LazyLock<Schema> = envelope!("v1");
static V1ALPHA1: LazyLock<Schema> = envelope!("v1alpha1");
static V1ALPHA2: LazyLock<Schema> = envelope!("v1alpha2");
static TASK: LazyLock<Schema> =
    LazyLock::new(|| Schema::compiled("task", "", V1ALPHA2.json["properties"]["task"].clone()));

/// The schema of a `POST /v1/tasks` body; its `content` has its own schema.
pub fn v1() -> &'static Schema {
    &V1
}

/// The schema of a `POST /v1alpha1` body; the fields of its task type have their own schema.
pub fn v1alpha1() -> &'static Schema {
    &V1ALPHA1
}

/// The schema of a `POST /v1alpha2` body; its `content` has its own schema.
pub fn v1alpha2() -> &'static Schema {
    &V1ALPHA2
}

/// The schema of a task alone, as a message has it: the part of [`v1alpha2`] below `task`.
pub fn task() -> &'static Schema {
    &TASK
}

/// Compiles the schemas of the envelopes.
pub(crate) fn compile_envelopes() {
    for envelope in [&V1, &V1ALPHA1, &V1ALPHA2] {
        LazyLock::force(envelope);
    }
}

impl Schema {
    #[expect(
        clippy::expect_used,
        reason = "the text is part of this crate, and a test compiles every schema"
    )]
    pub(crate) fn committed(name: &'static str, text: &'static str) -> Self {
        Self::compiled(name, text, serde_json::from_str(text).expect("a committed schema is JSON"))
    }

    #[expect(clippy::expect_used, reason = "a test compiles every committed schema")]
    fn compiled(name: &'static str, text: &'static str, json: Value) -> Self {
        let options = jsonschema::draft202012::options().with_pattern_options(PatternOptions::regex());
        let validator =
            options.with_pattern_cache(PATTERNS.clone()).build(&json).expect("a committed schema compiles");
        Self { name, text, json, validator }
    }

    /// Its name: `v1alpha2`, or the type of runtime and the task type, `sdwebui/text-to-image`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The schema as committed, to be shown to clients.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Everything in which a value differs from the schema; pointers are relative to the value.
    pub fn violations(&self, instance: &Value) -> Vec<Violation> {
        let mut seen = HashSet::new();
        let found = self.validator.iter_errors(instance).flat_map(|error| self.of_error(&error));
        found.filter(|violation| seen.insert((violation.pointer.clone(), violation.code))).collect()
    }

    /// Fields that a schema does not allow are one error of the library.
    fn of_error(&self, error: &ValidationError<'_>) -> Vec<Violation> {
        let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() else {
            return vec![self.violation(error)];
        };
        let at = error.instance_path().as_str();
        let unknown = |name: &String| {
            let pointer = format!("{at}/{}", pointer_segment(name));
            Violation::new(pointer, ViolationCode::NotAllowed, "is not a field of this object")
        };
        unexpected.iter().map(unknown).collect()
    }

    /// An error of the library in our words: distinguished by its kind, never by its text, which quotes the value.
    fn violation(&self, error: &ValidationError<'_>) -> Violation {
        use ValidationErrorKind as Kind;

        let pointer = error.instance_path().as_str();
        let keyword = error.schema_path().as_str();
        let code = match error.kind() {
            Kind::Required { property } => {
                return self.missing(pointer, keyword, property.as_str().unwrap_or_default());
            }
            Kind::Enum { options } => return not_allowed(pointer, options),
            Kind::Type { .. } => ViolationCode::WrongType,
            Kind::Minimum { .. }
            | Kind::ExclusiveMinimum { .. }
            | Kind::MinLength { .. }
            | Kind::MinItems { .. }
            | Kind::MinProperties { .. } => ViolationCode::TooSmall,
            Kind::Maximum { .. }
            | Kind::ExclusiveMaximum { .. }
            | Kind::MaxLength { .. }
            | Kind::MaxItems { .. }
            | Kind::MaxProperties { .. } => ViolationCode::TooLarge,
            _ => ViolationCode::WrongForm,
        };
        let message = match self.title(parent(keyword)) {
            Some(title) => format!("must be {title}"),
            None => "does not have the form that this field takes".to_owned(),
        };
        Violation::new(pointer, code, message)
    }

    fn missing(&self, pointer: &str, keyword: &str, property: &str) -> Violation {
        let segment = pointer_segment(property);
        let message = match self.title(&format!("{}/properties/{segment}", parent(keyword))) {
            Some(title) => format!("{} is required: {title}", quoted(property)),
            None => format!("{} is required", quoted(property)),
        };
        Violation::new(format!("{pointer}/{segment}"), ViolationCode::Missing, message)
    }

    /// What the subschema at `pointer` expects, in its own words or in those of the definition it refers to.
    fn title(&self, pointer: &str) -> Option<&str> {
        let subschema = self.json.pointer(pointer)?;
        let definition =
            subschema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
        match subschema.get("title") {
            Some(title) => title.as_str(),
            None => self.json.pointer(definition?)?.get("title")?.as_str(),
        }
    }
}

/// The subschema that a keyword belongs to.
fn parent(keyword: &str) -> &str {
    keyword.rsplit_once('/').map_or("", |(parent, _)| parent)
}

fn not_allowed(pointer: &str, options: &Value) -> Violation {
    let allowed = options.as_array().into_iter().flatten().filter_map(Value::as_str);
    Violation::new(pointer, ViolationCode::NotAllowed, format!("must be {}", listed(allowed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::{Path, PathBuf};

    use crate::TaskType;
    use crate::runtimes::{self, RuntimeContract as _};

    /// Every schema: the envelopes, then the contents, type of runtime by type of runtime.
    fn all() -> impl Iterator<Item = &'static Schema> {
        let tasks = runtimes::REGISTRY.into_iter().flat_map(|contract| contract.tasks());
        [v1(), v1alpha1(), v1alpha2()].into_iter().chain(tasks.map(|task| &*task.schema))
    }

    #[test]
    fn every_schema_compiles_and_has_the_id_of_its_file() {
        for schema in all() {
            let id = format!("https://darkroom.example/schemas/{}.schema.json", schema.name());
            assert_eq!(schema.json["$id"], id);
        }
        let folder = |path: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(path);
        let files = |path: PathBuf| {
            let names = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
            names.filter(|name| name.to_string_lossy().ends_with(".schema.json")).count()
        };
        let of_types = runtimes::REGISTRY
            .map(|contract| files(folder(&format!("runtimes/{}/schemas", contract.folder()))));
        assert_eq!(all().count(), files(folder("envelope")) + of_types.iter().sum::<usize>());
    }

    #[test]
    fn task_types_of_the_envelope_are_those_of_the_code() {
        let pointer = "/properties/task/properties/metadata/properties/tasktype/enum";
        let names: Vec<&str> = TaskType::ALL.into_iter().map(TaskType::as_str).collect();
        assert_eq!(v1alpha2().json.pointer(pointer), Some(&json!(names)));
        assert_eq!(v1().json.pointer("/properties/type/enum"), Some(&json!(names)));
    }

    #[test]
    fn every_subschema_that_can_fail_says_what_it_expects() {
        const KEYWORDS: [&str; 8] =
            ["type", "pattern", "exclusiveMinimum", "minLength", "minItems", "minProperties", "not", "enum"];

        fn check(name: &str, at: &str, subschema: &Value) {
            let Some(object) = subschema.as_object() else { return };
            if KEYWORDS.iter().any(|keyword| object.contains_key(*keyword)) {
                assert!(object.contains_key("title"), "{name}: {at} has no title");
            }
            for (key, child) in object {
                match key.as_str() {
                    // A condition yields no errors of its own.
                    "if" | "not" => {}
                    "properties" | "$defs" => {
                        for (property, child) in child.as_object().into_iter().flatten() {
                            check(name, &format!("{at}/{key}/{property}"), child);
                        }
                    }
                    _ => check(name, &format!("{at}/{key}"), child),
                }
            }
        }

        for schema in all() {
            check(schema.name(), "", &schema.json);
        }
    }

    #[test]
    fn messages_say_what_to_write_and_never_repeat_the_value() {
        let content = json!({"steps": 0, "width": "SECRET", "prompt": ["SECRET"], "alwayson_scripts": {"a/b": "SECRET"}});
        let mut found: Vec<(String, ViolationCode, String)> = runtimes::sdwebui::SdWebUi.tasks()[0]
            .schema
            .violations(&content)
            .into_iter()
            .map(|violation| (violation.pointer, violation.code, violation.message))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let expected = [
            (
                "/alwayson_scripts/a~1b",
                ViolationCode::WrongType,
                "must be an object with the `args` of the script",
            ),
            ("/prompt", ViolationCode::WrongType, "must be text"),
            ("/steps", ViolationCode::TooSmall, "must be a whole number above 0"),
            ("/width", ViolationCode::WrongForm, "must be a whole number above 0"),
        ];
        assert_eq!(found, expected.map(|(at, code, message)| (at.to_owned(), code, message.to_owned())));
    }

    #[test]
    fn each_missing_field_is_named_with_what_it_takes() {
        let found = v1alpha2().violations(&json!({"task": {"metadata": {"id": 1}, "content": {}}}));
        let messages: Vec<&str> = found.iter().map(|violation| violation.message.as_str()).collect();
        assert_eq!(
            messages,
            ["`runtime` is required: the name of a runtime", "`tasktype` is required: a task type"],
        );
        assert_eq!(found[1].pointer, "/task/metadata/tasktype");
    }

    #[test]
    fn an_unknown_value_is_answered_with_the_allowed_ones() {
        let body =
            json!({"task": {"metadata": {"id": 1, "runtime": "r", "tasktype": "bogus"}, "content": {}}});
        let found = v1alpha2().violations(&body);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].code, ViolationCode::NotAllowed);
        assert!(found[0].message.contains("`text-to-image`") && !found[0].message.contains("bogus"));
    }
}
