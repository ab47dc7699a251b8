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
    let mut rows = vec![["NAME", "TYPE", "TASK TYPES", "MODELS"].map(str::to_owned).to_vec()];
    for runtime in runtimes {
        let task_types: Vec<String> = runtime.task_types.into_iter().map(|task| task.task_type).collect();
        rows.push(vec![runtime.name, runtime.runtime_type, task_types.join(" "), runtime.models.join(" ")]);
    }
    output::table(&rows)?;
    Ok(())
}
