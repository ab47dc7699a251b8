//! `darkroom get`: one task.

use serde_json::Value;

use crate::api::{Answer, Api, Task};
use crate::error::Error;
use crate::output;

pub(crate) async fn run(api: &Api, id: &str, json: bool) -> Result<(), Error> {
    let Answer { json: shown, value: task } = api.task(id, None).await?;
    print(&task, &shown, json)
}

/// Prints a task: `shown` is the response itself.
pub(crate) fn print(task: &Task, shown: &Value, as_json: bool) -> Result<(), Error> {
    if as_json {
        output::json(shown)?;
    } else {
        output::table(&rows(task))?;
    }
    Ok(())
}

fn rows(task: &Task) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("id", task.id.clone());
    row(
        "status",
        if task.cancel_requested && !task.is_finished() {
            "canceling".to_owned()
        } else {
            task.status.clone()
        },
    );
    row("runtime", format!("{} ({})", task.runtime, task.task_type));
    if let Some(name) = task.name.as_str().filter(|name| *name != task.id) {
        row("name", name.to_owned());
    }
    for (name, value) in &task.labels {
        row("label", format!("{name}={value}"));
    }
    row("created", task.created_at.clone());
    for (name, time) in [("started", &task.started_at), ("finished", &task.finished_at)] {
        if let Some(time) = time {
            row(name, time.clone());
        }
    }
    if let Some(timings) = task.timings.filter(|_| task.has_succeeded()) {
        let seconds = |ms: u64| ms as f64 / 1e3;
        row(
            "took",
            format!(
                "{:.1} s in the queue, {:.1} s of run",
                seconds(timings.queue_ms),
                seconds(timings.run_ms)
            ),
        );
    }
    if task.attempts > 1 {
        row("attempts", task.attempts.to_string());
    }
    for (name, id) in [("retry of", &task.retry_of), ("retried as", &task.retried_as)] {
        if let Some(id) = id {
            row(name, id.clone());
        }
    }
    if let Some(error) = &task.error {
        row("error", format!("{}: {}", error.code, error.message));
    }
    for output in &task.outputs {
        let size = output
            .width
            .zip(output.height)
            .map_or(String::new(), |(width, height)| format!(" {width}x{height}"));
        row("file", format!("{} ({}{size}, {} bytes)", output.s3_uri, output.content_type, output.bytes));
        if let Some(url) = &output.url {
            row("", url.clone());
        }
    }
    rows
}
