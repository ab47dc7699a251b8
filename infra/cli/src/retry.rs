//! `darkroom retry`: a failed or expired task becomes a new one.

use clap::Args;
use reqwest::Method;
use uuid::Uuid;

use crate::api::{Answer, Api, Call, Task};
use crate::error::Error;
use crate::output;

#[derive(Debug, Args)]
pub(crate) struct RetryArguments {
    /// The id of the failed task.
    id: String,
    /// The same key never submits a second task, for 24 hours; a new one for each command if absent.
    #[arg(long, value_name = "TEXT")]
    idempotency_key: Option<String>,
}

pub(crate) async fn run(api: &Api, arguments: &RetryArguments, json: bool) -> Result<(), Error> {
    let RetryArguments { id, idempotency_key } = arguments;
    let key = idempotency_key.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
    let path = ["tasks", id.as_str(), "retry"];
    let call = Call { idempotency_key: Some(&key), ..Call::new(Method::POST, &path) };
    let Answer { json: shown, value: task } = api.send::<Task>(&call).await?;
    if json {
        output::json(&shown)?;
    } else {
        output::line(&task.id)?;
    }
    Ok(())
}
