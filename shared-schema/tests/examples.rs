//! The golden examples: schemas, types and contract must agree on every one of them.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use shared_schema::envelope::Accepted;
use shared_schema::{Contract, Registry, Task, TaskType, Violation, schema};

/// One file of `examples/`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    /// What it shows.
    name: String,
    /// The version of the request.
    api: Api,
    /// The runtimes that are deployed; none means that nothing is known about them.
    #[serde(default)]
    registry: Registry,
    /// Whether the schemas alone reject it; the rest is rejected by rules that a schema cannot express.
    schema: Option<SchemaVerdict>,
    /// The request body.
    body: Value,
    /// What is wrong with it, in any order.
    #[serde(default)]
    violations: Vec<Expected>,
    /// The file it stands in.
    #[serde(skip)]
    file: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Api {
    V1alpha1,
    V1alpha2,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SchemaVerdict {
    Rejects,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    pointer: String,
    code: String,
}

impl From<&Violation> for Expected {
    fn from(violation: &Violation) -> Self {
        Self { pointer: violation.pointer.clone(), code: violation.code.as_str().to_owned() }
    }
}

impl Example {
    fn all_in(folder: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(folder);
        let entries = std::fs::read_dir(&folder).expect("the folder of examples");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path).expect("a readable file");
            let example: Self =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"));
            Self { file: path.file_name().expect("a name").to_string_lossy().into_owned(), ..example }
        };
        paths.iter().map(|path| read(path)).collect()
    }

    fn accept(&self) -> Result<Accepted, Vec<Violation>> {
        let contract = Contract::new(self.registry.clone());
        match self.api {
            Api::V1alpha1 => contract.v1alpha1(self.body.clone()),
            Api::V1alpha2 => contract.v1alpha2(self.body.clone()),
        }
    }

    fn task_type(&self) -> Option<TaskType> {
        let pointer = match self.api {
            Api::V1alpha1 => "/alwayson_scripts/task",
            Api::V1alpha2 => "/task/metadata/tasktype",
        };
        TaskType::parse(self.body.pointer(pointer)?.as_str()?)
    }

    fn content(&self) -> Option<&Value> {
        match self.api {
            Api::V1alpha1 => Some(&self.body),
            Api::V1alpha2 => self.body.pointer("/task/content"),
        }
    }

    /// What the schemas alone say, that of the envelope and that of the content.
    fn schema_violations(&self) -> Vec<Violation> {
        let envelope = match self.api {
            Api::V1alpha1 => schema::v1alpha1(),
            Api::V1alpha2 => schema::v1alpha2(),
        };
        let runtime = self.body.pointer("/task/metadata/runtime").and_then(Value::as_str);
        let entry = runtime.and_then(|name| self.registry.by_name(name));
        let of_content = self.task_type().zip(self.content()).and_then(|(task_type, content)| {
            let contract = self.registry.contract(entry, task_type);
            Some(contract.task(task_type)?.schema.violations(content))
        });
        envelope.violations(&self.body).into_iter().chain(of_content.unwrap_or_default()).collect()
    }
}

#[test]
fn valid_examples_are_accepted_by_schema_and_contract() {
    for example in Example::all_in("valid") {
        assert!(example.violations.is_empty() && example.schema.is_none(), "{}", example.file);
        assert_eq!(example.schema_violations(), [], "{}", example.file);
        if let Err(violations) = example.accept() {
            panic!("{} ({}): {violations:#?}", example.file, example.name);
        }
    }
}

#[test]
fn invalid_examples_are_refused_with_exactly_their_violations() {
    for example in Example::all_in("invalid") {
        let found = example.accept().expect_err(&example.file);
        let codes: BTreeSet<Expected> = found.iter().map(Expected::from).collect();
        let expected: BTreeSet<Expected> = example.violations.iter().cloned().collect();
        assert_eq!(codes, expected, "{} ({}): {found:#?}", example.file, example.name);
        assert_eq!(found.len(), codes.len(), "{}: a violation stands twice: {found:#?}", example.file);
    }
}

#[test]
fn invalid_examples_are_rejected_by_the_schemas_alone_where_marked() {
    for example in Example::all_in("invalid") {
        let rejected = !example.schema_violations().is_empty();
        assert_eq!(rejected, example.schema == Some(SchemaVerdict::Rejects), "{}", example.file);
    }
}

#[test]
fn messages_never_repeat_the_lines_of_the_validator() {
    for example in Example::all_in("invalid") {
        for violation in example.accept().expect_err(&example.file) {
            let message = &violation.message;
            assert!(!message.is_empty(), "{}", example.file);
            for phrase in ["is not of type", "is not valid under", "does not match", "is a required property"]
            {
                assert!(!message.contains(phrase), "{}: {message}", example.file);
            }
        }
    }
}

#[test]
fn valid_tasks_travel_through_the_types_unchanged() {
    for example in Example::all_in("valid") {
        let accepted = example.accept().expect(&example.file);
        let message = serde_json::to_value(&accepted.task).expect("a task is JSON");
        let again: Task = serde_json::from_value(message.clone()).expect("a message is a task");
        assert_eq!(again, accepted.task, "{}", example.file);

        match example.api {
            Api::V1alpha1 => assert_eq!(message["content"], example.body, "{}", example.file),
            Api::V1alpha2 => {
                let mut sent = example.body["task"].clone();
                without_nothing(&mut sent);
                assert_eq!(message, sent, "{}", example.file);
            }
        }
    }
}

/// Fields without a value are omitted from messages: a predecessor's worker drops those that have an empty prefix.
fn without_nothing(task: &mut Value) {
    let metadata = task["metadata"].as_object_mut().expect("metadata");
    for field in ["prefix", "start_by", "run_timeout"] {
        if metadata.get(field).is_some_and(|value| value.is_null() || value == "") {
            metadata.shift_remove(field);
        }
    }
}

#[test]
fn the_examples_cover_every_task_type_and_every_file_is_one() {
    let (valid, invalid) = (Example::all_in("valid"), Example::all_in("invalid"));
    assert!(valid.len() >= 14 && invalid.len() >= 30, "{} valid, {} invalid", valid.len(), invalid.len());
    for task_type in TaskType::ALL {
        assert!(valid.iter().any(|example| example.task_type() == Some(task_type)), "no valid {task_type}");
        assert!(
            invalid.iter().any(|example| example.task_type() == Some(task_type)),
            "no invalid {task_type}"
        );
    }
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let names: BTreeSet<String> = std::fs::read_dir(folders)
        .expect("the examples")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, ["invalid", "valid"].map(str::to_owned).into());
}
