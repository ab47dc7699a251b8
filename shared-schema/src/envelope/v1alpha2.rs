//! `{"task": {"metadata": {...}, "content": {...}}}`: the caller names the runtime.

use serde_json::Value;

use super::{Accepted, Names, optional_text};
use crate::message::{self, Route};
use crate::violation::{listed, quoted};
use crate::{Registry, RuntimeEntry, StartBy, Task, TaskType, Violation, ViolationCode, content, schema};

const ID: &str = "/task/metadata/id";
const PREFIX: &str = "/task/metadata/prefix";
const RUNTIME: &str = "/task/metadata/runtime";
const TASK_TYPE: &str = "/task/metadata/tasktype";
const START_BY: &str = "/task/metadata/start_by";
const CONTENT: &str = "/task/content";

/// Checks a request body against everything that is known, and takes it apart.
///
/// Every violation is named, not only the first.
pub fn accept(mut body: Value, registry: &Registry) -> Result<Accepted, Vec<Violation>> {
    let mut violations = schema::v1alpha2().violations(&body);

    if let Some(metadata) = body.pointer("/task/metadata") {
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
        if let (Some(task_type), Some(content)) = (task_type, body.pointer(CONTENT)) {
            if content.is_object() {
                let found = content::violations(task_type, content, runtime, registry.allowance(runtime));
                violations.extend(found.into_iter().map(|violation| violation.below(CONTENT)));
            } else if let Some(message) = content::not_an_object(task_type, content) {
                violations.retain(|violation| violation.pointer != CONTENT);
                violations.push(Violation::new(CONTENT, ViolationCode::WrongType, message));
            }
        }
    }
    if !violations.is_empty() {
        return Err(violations);
    }

    let mut task = body["task"].take();
    tidy(&mut task);
    // The content moves as it is: reading it into the type would build every object of it anew.
    let content = task.get_mut("content").and_then(Value::as_object_mut).map(std::mem::take);
    let Some((task, content)) = serde_json::from_value::<Task>(task).ok().zip(content) else {
        // The schema and the rules above admit nothing that the types refuse; the golden examples hold them together.
        let message = "must be a task with metadata and content";
        return Err(vec![Violation::new("/task", ViolationCode::WrongForm, message)]);
    };
    let mut task = Task { content, ..task };
    content::tidy(task.metadata.tasktype, &mut task.content);
    let route = Route::Runtime(task.metadata.runtime.clone());
    Ok(Accepted { task, route })
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

/// A null prefix means none and must not reach a predecessor's worker; a submission is nothing that a caller chooses.
fn tidy(task: &mut Value) {
    if let Some(metadata) = task.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.shift_remove("submission");
        if metadata.get("prefix").is_some_and(Value::is_null) {
            metadata.shift_remove("prefix");
        }
    }
}
