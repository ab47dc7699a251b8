//! `darkroom runtimes`.

use crate::api::{Answer, Api};
use crate::error::Error;
use crate::output;

pub(crate) async fn run(api: &Api, json: bool) -> Result<(), Error> {
    let Answer { json: shown, value: runtimes } = api.runtimes().await?;
    if json {
        output::json(&shown)?;
        return Ok(());
    }
    let mut rows =
        vec![["NAME", "TYPE", "WAITING", "IN FLIGHT", "TASK TYPES", "MODELS"].map(str::to_owned).to_vec()];
    for runtime in runtimes {
        let task_types: Vec<String> = runtime.task_types.into_iter().map(|task| task.task_type).collect();
        let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        let waiting = count(runtime.backlog.map(|backlog| backlog.waiting));
        let in_flight = count(runtime.backlog.map(|backlog| backlog.in_flight));
        let (task_types, models) = (task_types.join(" "), runtime.models.join(" "));
        rows.push(vec![runtime.name, runtime.runtime_type, waiting, in_flight, task_types, models]);
    }
    output::table(&rows)?;
    Ok(())
}
