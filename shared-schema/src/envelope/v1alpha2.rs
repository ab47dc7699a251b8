//! `{"task": {"metadata": {...}, "content": {...}}}`: the caller names the runtime.

use serde_json::Value;

use super::{Accepted, Names, optional_text};
use crate::message::{self, Route};
use crate::violation::{listed, quoted};
use crate::{Registry, RuntimeEntry, StartBy, Task, TaskType, Violation, ViolationCode, schema};

const ID: &str = "/metadata/id";
const PREFIX: &str = "/metadata/prefix";
const RUNTIME: &str = "/metadata/runtime";
const TASK_TYPE: &str = "/metadata/tasktype";
const START_BY: &str = "/metadata/start_by";
const CONTENT: &str = "/content";

/// Where the task is in a request body.
const TASK: &str = "/task";

/// Checks a request body against everything that is known, and takes the task out of it.
///
/// Every violation is named, not only the first.
pub fn accept(mut body: Value, registry: &Registry) -> Result<Accepted, Vec<Violation>> {
    let mut violations = schema::v1alpha2().violations(&body);
    let Some(mut task) = body.get_mut("task").map(Value::take) else { return Err(violations) };
    if let Some(metadata) = task.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("assets");
    }
    for violation in &mut violations {
        if let Some(below) = violation.pointer.strip_prefix(TASK) {
            violation.pointer = below.to_owned();
        }
    }
    accept_task(task, violations, registry)
        .map_err(|violations| violations.into_iter().map(|violation| violation.below(TASK)).collect())
}

/// The same for a task alone, as a message has it. Pointers are relative to the task, also in `violations`: what its
/// schema says of it.
pub(crate) fn accept_task(
    task: Value,
    mut violations: Vec<Violation>,
    registry: &Registry,
) -> Result<Accepted, Vec<Violation>> {
    if let Some(metadata) = task.get("metadata") {
        if let (Some(id), true) = (metadata.get("id"), clean(&violations, ID) && clean(&violations, PREFIX)) {
            let names = Names { id: id.clone(), prefix: optional_text(metadata.get("prefix")).to_owned() };
            violations.extend(names.violations(ID, PREFIX));
        }
        if let Some(start_by) = metadata.get("start_by").filter(|_| clean(&violations, START_BY)) {
            violations.extend(check_start_by(start_by));
        }
        let task_type = metadata.get("tasktype").and_then(Value::as_str).and_then(TaskType::parse);
        let name = metadata.get("runtime").and_then(Value::as_str);
        let runtime = name.and_then(|name| registry.by_name(name));
        if let Some(name) = name.filter(|_| clean(&violations, RUNTIME)) {
            violations.extend(check_runtime(name, runtime, task_type, registry));
        }
        if let (Some(task_type), Some(content)) = (task_type, task.get("content")) {
            let contract = registry.contract(runtime, task_type);
            if content.is_object() {
                let found = contract.check(task_type, content, runtime, registry.allowance(runtime));
                violations.extend(found.into_iter().map(|violation| violation.below(CONTENT)));
            } else if let Some(message) = contract.not_an_object(content) {
                violations.retain(|violation| violation.pointer != CONTENT);
                violations.push(Violation::new(CONTENT, ViolationCode::WrongType, message));
            }
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }
    let Some(mut task) = into_task(task) else {
        // The schema and the rules above admit nothing that the types refuse; the golden examples hold them together.
        let message = "must be a task with metadata and content";
        return Err(vec![Violation::new("", ViolationCode::WrongForm, message)]);
    };
    let metadata = &task.metadata;
    registry.contract(registry.by_name(metadata.runtime.as_str()), metadata.tasktype).tidy(&mut task.content);
    let route = Route::Runtime(task.metadata.runtime.clone());
    Ok(Accepted { task, route })
}

/// A null prefix means none and must not reach a predecessor's worker; a submission is nothing that a caller chooses.
///
/// The content moves as it is: reading it into the type would build every object of it anew.
fn into_task(task: Value) -> Option<Task> {
    let Value::Object(mut fields) = task else { return None };
    let Some(Value::Object(content)) = fields.shift_remove("content") else { return None };
    let mut metadata = fields.shift_remove("metadata")?;
    let named = metadata.as_object_mut()?;
    named.shift_remove("submission");
    if named.get("prefix").is_some_and(Value::is_null) {
        named.shift_remove("prefix");
    }
    Some(Task { metadata: serde_json::from_value(metadata).ok()?, content, extra: fields })
}

fn check_runtime(
    name: &str,
    runtime: Option<&RuntimeEntry>,
    task_type: Option<TaskType>,
    registry: &Registry,
) -> Option<Violation> {
    if registry.is_empty() {
        return (!message::is_attribute(name))
            .then(|| Violation::new(RUNTIME, ViolationCode::WrongForm, message::NO_ATTRIBUTE));
    }
    let Some(runtime) = runtime else {
        let names = listed(registry.entries().iter().map(|entry| entry.name.as_str()));
        let message = format!("no runtime {} is deployed; use {names}", quoted(name));
        return Some(Violation::new(RUNTIME, ViolationCode::UnknownRuntime, message));
    };
    let task_type = task_type.filter(|task_type| !runtime.takes(*task_type))?;
    let takes = listed(runtime.accepted_task_types().into_iter().map(TaskType::as_str));
    let message = format!("runtime {} takes {takes}, not `{task_type}`", quoted(name));
    Some(Violation::new(TASK_TYPE, ViolationCode::UnsupportedTaskType, message))
}

/// The schema knows the form; that February has no 30th is known here.
fn check_start_by(start_by: &Value) -> Option<Violation> {
    let error = StartBy::parse(start_by.as_str()?).err()?;
    Some(Violation::new(START_BY, ViolationCode::WrongForm, error.to_string()))
}

fn clean(violations: &[Violation], pointer: &str) -> bool {
    violations.iter().all(|violation| violation.pointer != pointer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_caller_names_no_keys_of_assets() {
        let metadata = json!({ "id": 1, "runtime": "r", "tasktype": "text-to-image", "assets": { "a": "others/1.png" } });
        let body = json!({ "task": { "metadata": metadata, "content": { "prompt": "x" } } });
        let accepted = accept(body, &Registry::default()).unwrap();
        assert!(accepted.task.metadata.assets.is_empty());
    }
}
