//! `darkroom cancel`.

use reqwest::Method;

use crate::api::{Answer, Api, Call, Task};
use crate::error::Error;
use crate::show;

/// A queued task never runs, a running one is interrupted within seconds, a finished one stays as it is: what is printed shows
/// which.
pub(crate) async fn run(api: &Api, id: &str, json: bool) -> Result<(), Error> {
    let path = ["tasks", id, "cancel"];
    let call = Call::new(Method::POST, &path);
    let Answer { json: shown, value: task } = api.send::<Task>(&call).await?;
    show::print(&task, &shown, json)
}
