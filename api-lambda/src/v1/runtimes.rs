//! `GET /v1/runtimes`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use shared_schema::registry::Limits;
use shared_schema::{RuntimeEntry, RuntimeName, TaskType};

use crate::App;
use crate::error::ApiError;
use crate::steps::publish::Publisher;

/// The deployed runtimes.
#[derive(Debug, Serialize)]
pub(super) struct RuntimeList {
    runtimes: Vec<RuntimeView>,
}

/// A deployed runtime.
#[derive(Debug, Serialize)]
struct RuntimeView {
    name: RuntimeName,
    #[serde(rename = "type")]
    runtime_type: String,
    models: Vec<String>,
    limits: Limits,
    task_types: Vec<TaskTypeView>,
}

/// A task type of a runtime.
#[derive(Debug, Serialize)]
struct TaskTypeView {
    #[serde(rename = "type")]
    task_type: TaskType,
    /// The JSON Schema of `content`.
    content_schema: Value,
}

pub(super) async fn list<P: Publisher>(
    State(app): State<Arc<App<P>>>,
) -> Result<Json<RuntimeList>, ApiError> {
    app.store()?;
    let runtimes = app.contract.registry().entries().iter().map(view).collect();
    Ok(Json(RuntimeList { runtimes }))
}

fn view(entry: &RuntimeEntry) -> RuntimeView {
    let schema = |task_type: TaskType| {
        let contract = entry.contract()?.tasks().iter().find(|task| task.task_type == task_type)?;
        serde_json::from_str(contract.schema.text()).ok()
    };
    let task_types = entry
        .accepted_task_types()
        .into_iter()
        .map(|task_type| TaskTypeView { task_type, content_schema: schema(task_type).unwrap_or_default() });
    RuntimeView {
        name: entry.name.clone(),
        runtime_type: entry.runtime_type.clone(),
        models: entry.models.clone(),
        limits: entry.limits,
        task_types: task_types.collect(),
    }
}
