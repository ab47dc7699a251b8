//! A bare SD WebUI request with routing keys in `alwayson_scripts`: the caller names a model, not a runtime.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Accepted, Names, optional_text};
use crate::message::{self, Route};
use crate::violation::{listed, quoted};
use crate::{
    Metadata, OutputPrefix, Registry, RuntimeEntry, RuntimeName, Task, TaskId, TaskType, Violation,
    ViolationCode, keys, schema,
};

const ID: &str = "/alwayson_scripts/id_task";
const PREFIX: &str = "/alwayson_scripts/save_dir";
const TASK_TYPE: &str = "/alwayson_scripts/task";
const MODEL: &str = "/alwayson_scripts/sd_model_checkpoint";

/// Checks a request body against everything that is known, and wraps it up as a task.
///
/// With a registry the model chooses exactly one runtime; without one the model itself is the attribute that queues
/// filter by, as in the predecessors.
pub fn accept(body: Value, registry: &Registry) -> Result<Accepted, Vec<Violation>> {
    let mut violations = schema::v1alpha1().violations(&body);
    let scripts = body.get("alwayson_scripts");
    let routing = |key: &str| scripts.and_then(|scripts| scripts.get(key));

    let id = routing("id_task").cloned().unwrap_or_default();
    let prefix = optional_text(routing("save_dir")).to_owned();
    if violations.iter().all(|violation| violation.pointer != ID && violation.pointer != PREFIX)
        && scripts.is_some_and(Value::is_object)
    {
        violations.extend(Names { id: id.clone(), prefix: prefix.clone() }.violations(ID, PREFIX));
    }

    let task_type = routing("task").and_then(Value::as_str).and_then(TaskType::parse);
    let model = routing("sd_model_checkpoint").and_then(Value::as_str);
    let runtime = match (model, task_type) {
        (Some(model), Some(task_type)) => registry.by_model(model, task_type),
        _ => None,
    };
    if model.is_some_and(|model| registry.is_empty() && !message::is_attribute(model)) {
        violations.push(Violation::new(MODEL, ViolationCode::WrongForm, message::NO_ATTRIBUTE));
    }
    if let (Some(model), Some(_), None, false) = (model, task_type, runtime, registry.is_empty()) {
        violations.push(unknown_model(model, registry));
    }
    let well_named = violations.iter().all(|violation| violation.pointer != TASK_TYPE);
    if let Some(task_type) = task_type.filter(|_| body.is_object() && well_named) {
        let contract = registry.contract(runtime, task_type);
        violations.extend(contract.check(task_type, &body, runtime, registry.allowance(runtime)));
    }

    let (Some(task_type), Some(model), true) = (task_type, model, violations.is_empty()) else {
        return Err(violations);
    };
    let unsafe_name =
        |_| vec![Violation::new(ID, ViolationCode::UnsafeKey, "must be a name that is safe in a key")];
    let id = TaskId::from_json(&id).map_err(unsafe_name)?;
    let prefix = OutputPrefix::parse(&prefix).map_err(unsafe_name)?;
    let route = route(runtime, model);
    let metadata = Metadata {
        id,
        runtime: match &route {
            Route::Runtime(name) => name.clone(),
            Route::Model(_) => RuntimeName::new(RuntimeName::LEGACY),
        },
        tasktype: task_type,
        prefix,
        context: Some(Value::Object(Map::new())),
        start_by: None,
        run_timeout: None,
        submission: None,
        assets: BTreeMap::new(),
        extra: Map::new(),
    };
    let Value::Object(mut content) = body else { return Err(violations) };
    registry.contract(runtime, task_type).tidy(&mut content);
    Ok(Accepted { task: Task { metadata, content, extra: Map::new() }, route })
}

/// Sets where the files go, `bucket/prefix/id`, as a predecessor's front door does: its workers pass the field on to their
/// runtimes. Ours leaves it out.
pub fn add_output_path(task: &mut Task, bucket: &str) {
    let location = keys::output_location(bucket, &task.metadata.prefix, &task.metadata.id);
    let path = location.strip_prefix("s3://").unwrap_or(&location).to_owned();
    task.content.insert("s3_output_path".to_owned(), Value::String(path));
}

fn route(runtime: Option<&RuntimeEntry>, model: &str) -> Route {
    match runtime {
        Some(runtime) => Route::Runtime(runtime.name.clone()),
        None => Route::Model(model.to_owned()),
    }
}

fn unknown_model(model: &str, registry: &Registry) -> Violation {
    let models = registry.entries().iter().flat_map(|entry| entry.models.iter().map(String::as_str));
    let message = format!("no runtime serves the model {}; use {}", quoted(model), listed(models));
    Violation::new(MODEL, ViolationCode::UnknownModel, message)
}
