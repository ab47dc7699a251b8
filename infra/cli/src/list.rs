//! `darkroom list`: the caller's tasks, from as many pages as it takes.

use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{self, Api, Call, Task, TaskPage};
use crate::content::Field;
use crate::error::Error;
use crate::output;

/// The most tasks of a page.
const PAGE: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only tasks of this status: queued, running, succeeded, failed, expired or canceled (several separated by commas).
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Only tasks of this runtime.
    #[arg(long, value_name = "NAME")]
    runtime: Option<String>,
    /// Only tasks with this label (repeatable).
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<Field>,
    /// Only tasks that were created at or after this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    created_after: Option<String>,
    /// Only tasks that were created before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    created_before: Option<String>,
    /// The most tasks to list.
    #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// Continue a list, from the `next_cursor` of `--json`.
    #[arg(long, value_name = "TEXT")]
    cursor: Option<String>,
}

pub(crate) async fn run(api: &Api, arguments: &ListArguments, json: bool) -> Result<(), Error> {
    let (tasks, next_cursor) = tasks(api, arguments).await?;
    if json {
        output::json(&json!({ "tasks": tasks, "next_cursor": next_cursor }))?;
        return Ok(());
    }
    let mut rows = vec![["ID", "STATUS", "RUNTIME", "TYPE", "CREATED", "ERROR"].map(str::to_owned).to_vec()];
    for task in &tasks {
        rows.push(row(&parsed(task)?));
    }
    output::table(&rows)?;
    if next_cursor.is_some() {
        output::note("there are more tasks: see --limit");
    }
    Ok(())
}

/// The tasks, and the cursor of what follows them. A page with a filter can be empty and not be the last.
async fn tasks(api: &Api, arguments: &ListArguments) -> Result<(Vec<Value>, Option<String>), Error> {
    let limit = arguments.limit as usize;
    let mut tasks = Vec::new();
    let mut cursor = arguments.cursor.clone();
    loop {
        let query = query(arguments, (limit - tasks.len()).min(PAGE), cursor);
        let call = Call { query: &query, ..Call::new(Method::GET, &["tasks"]) };
        let page: TaskPage = api.send(&call).await?.value;
        tasks.extend(page.tasks);
        cursor = page.next_cursor;
        if cursor.is_none() || tasks.len() >= limit {
            return Ok((tasks, cursor));
        }
    }
}

fn query(arguments: &ListArguments, limit: usize, cursor: Option<String>) -> Vec<(String, String)> {
    let optional = [
        ("status", &arguments.status),
        ("runtime", &arguments.runtime),
        ("created_after", &arguments.created_after),
        ("created_before", &arguments.created_before),
        ("cursor", &cursor),
    ];
    let optional = optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?)));
    let labels = arguments.label.iter().map(|Field { path, value }| (format!("label.{path}"), value.clone()));
    optional.chain(labels).chain([("limit".to_owned(), limit.to_string())]).collect()
}

fn parsed(task: &Value) -> Result<Task, api::Error> {
    Task::deserialize(task).map_err(|error| api::Error::NotUnderstood(error.to_string()))
}

fn row(task: &Task) -> Vec<String> {
    let error = task.error.as_ref().map(|error| error.code.clone());
    let fields = [&task.id, &task.status, &task.runtime, &task.task_type, &task.created_at];
    fields.into_iter().cloned().chain([error.unwrap_or_default()]).collect()
}
