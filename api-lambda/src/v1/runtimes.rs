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
use crate::sqs::Backlog;
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
    /// Absent if the queues are not known, or cannot be read.
    backlog: Option<Backlog>,
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
    let store = app.store()?;
    let entries = app.contract.registry().entries();
    let names: Vec<&RuntimeName> = entries.iter().map(|entry| &entry.name).collect();
    let backlogs = match &store.queues {
        Some(queues) => queues.backlogs(&names).await,
        None => vec![None; names.len()],
    };
    let runtimes = entries.iter().zip(backlogs).map(|(entry, backlog)| view(entry, backlog)).collect();
    Ok(Json(RuntimeList { runtimes }))
}

fn view(entry: &RuntimeEntry, backlog: Option<Backlog>) -> RuntimeView {
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
        backlog,
        task_types: task_types.collect(),
    }
}
