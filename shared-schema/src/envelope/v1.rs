//! `{"runtime": ..., "type": ..., "content": {...}}`: the body of `POST /v1/tasks`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Accepted, v1alpha2};
use crate::{Registry, Submission, Violation, schema};

/// The fields of the body, and where the task has them.
const FIELDS: [(&str, &str); 7] = [
    ("/name", "/metadata/id"),
    ("/runtime", "/metadata/runtime"),
    ("/type", "/metadata/tasktype"),
    ("/prefix", "/metadata/prefix"),
    ("/context", "/metadata/context"),
    ("/start_by", "/metadata/start_by"),
    ("/run_timeout", "/metadata/run_timeout"),
];

/// A request that may be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The task and its route.
    pub accepted: Accepted,
    /// The labels, which are in the record of the task only.
    pub labels: BTreeMap<String, String>,
}

/// Checks a body, and makes a task of it. A task without a name has its id as its name.
fn request(body: &mut Map<String, Value>, id: &Submission) -> Value {
    let mut metadata = Map::new();
    for (from, to) in FIELDS {
        let (from, to) = (from.trim_start_matches('/'), to.trim_start_matches("/metadata/"));
        if let Some(value) = body.shift_remove(from) {
            metadata.insert(to.to_owned(), value);
        }
    }
    metadata.entry("id").or_insert_with(|| Value::from(id.as_str()));
    let mut task = Map::from_iter([("metadata".to_owned(), Value::Object(metadata))]);
    if let Some(content) = body.shift_remove("content") {
        task.insert("content".to_owned(), content);
    }
    Value::Object(task)
}

/// Checks a request body against everything that is known, and makes a task of it. Every violation is named, not only the
/// first.
pub(crate) fn accept(
    mut body: Value,
    id: &Submission,
    registry: &Registry,
) -> Result<Request, Vec<Violation>> {
    let mut violations = schema::v1().violations(&body);
    let Some(fields) = body.as_object_mut() else { return Err(violations) };
    let labels = fields.shift_remove("labels");
    let task = request(fields, id);
    for violation in &mut violations {
        replace(violation, |(field, place)| (field, place));
    }
    let mut accepted = v1alpha2::accept_task(task, violations, registry).map_err(|mut violations| {
        for violation in &mut violations {
            replace(violation, |(field, place)| (place, field));
        }
        violations
    })?;
    let run_timeout = &mut accepted.task.metadata.run_timeout;
    *run_timeout = run_timeout.filter(|seconds| *seconds > 0);
    let labels = labels.and_then(|labels| serde_json::from_value(labels).ok()).unwrap_or_default();
    Ok(Request { accepted, labels })
}

/// Replaces the beginning of a pointer: a field of the body by its place in the task, or the reverse.
fn replace(
    violation: &mut Violation,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for (from, to) in FIELDS.map(direction) {
        if let Some(rest) =
            violation.pointer.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            violation.pointer = format!("{to}{rest}");
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::ViolationCode;

    fn accept(body: Value) -> Result<Request, Vec<(String, ViolationCode)>> {
        let id = Submission::parse("an-id").unwrap();
        let violations = |all: Vec<Violation>| all.into_iter().map(|one| (one.pointer, one.code)).collect();
        super::accept(body, &id, &Registry::default()).map_err(violations)
    }

    #[test]
    fn a_body_becomes_a_task_with_its_labels() {
        let request = accept(json!({
            "runtime": "sdruntime", "type": "text-to-image", "content": { "prompt": "x" },
            "prefix": "p", "context": [1], "labels": { "team": "a" },
        }))
        .unwrap();
        let metadata = &request.accepted.task.metadata;
        assert_eq!((metadata.id.as_str(), metadata.prefix.as_str()), ("an-id", "p"));
        assert_eq!(metadata.context, Some(json!([1])));
        assert_eq!(request.labels["team"], "a");
    }

    #[test]
    fn violations_name_the_fields_of_the_body() {
        for (body, pointer, code) in [
            (json!({ "type": "pipeline", "content": {} }), "/runtime", ViolationCode::Missing),
            (json!({ "runtime": "a", "type": "b", "content": {} }), "/type", ViolationCode::NotAllowed),
            (json!({ "name": "../x" }), "/name", ViolationCode::UnsafeKey),
            (json!({ "start_by": "2026-02-30T00:00:00Z" }), "/start_by", ViolationCode::WrongForm),
            (json!({ "run_timeout": 0 }), "/run_timeout", ViolationCode::TooSmall),
            (json!({ "labels": { "a": 1 } }), "/labels/a", ViolationCode::WrongType),
            (json!({ "content": { "steps": 0 } }), "/content/steps", ViolationCode::TooSmall),
            (json!({ "priority": 1 }), "/priority", ViolationCode::NotAllowed),
        ] {
            let mut full = json!({ "runtime": "r", "type": "text-to-image", "content": { "prompt": "x" } });
            let is_partial = body.get("type").is_none();
            if is_partial {
                full.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            } else {
                full = body;
            }
            let violations = accept(full.clone()).unwrap_err();
            assert!(violations.contains(&(pointer.to_owned(), code)), "{full}: {violations:?}");
        }
    }
}
