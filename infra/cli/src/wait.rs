//! `darkroom wait`: until the task has finished, with a progress bar. Ctrl-C stops the wait, not the task.

use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, timeout_at};

use crate::api::{Answer, Api, Task};
use crate::error::Error;
use crate::progress::Bar;
use crate::show;

/// The seconds that one request waits for the end of the task (`Prefer: wait`): progress is written every 5 s at most, so a
/// visible bar needs a look more often than that.
const SHORT_WAIT: u64 = 3;
const LONG_WAIT: u64 = 20;

#[derive(Debug, Args)]
pub(crate) struct WaitArguments {
    /// The id of the task.
    id: String,
    /// How long to wait, in seconds; without end if absent.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

pub(crate) async fn run(
    api: &Api,
    WaitArguments { id, timeout }: &WaitArguments,
    json: bool,
) -> Result<(), Error> {
    until_finished(api, id, timeout.map(Duration::from_secs), json).await
}

/// Waits, shows the task, and fails if the task has not succeeded.
pub(crate) async fn until_finished(
    api: &Api,
    id: &str,
    limit: Option<Duration>,
    json: bool,
) -> Result<(), Error> {
    let bar = Bar::new(!json);
    let stopped = || Error::StoppedWaiting { id: id.to_owned() };
    let late = || Error::WaitTimeout { id: id.to_owned() };
    let waiting = async {
        match limit.and_then(|limit| Instant::now().checked_add(limit)) {
            Some(deadline) => timeout_at(deadline, finished(api, id, &bar)).await.map_err(|_| late())?,
            None => finished(api, id, &bar).await,
        }
    };
    let finished = tokio::select! {
        finished = waiting => finished,
        Ok(()) = tokio::signal::ctrl_c() => Err(stopped()),
    };
    bar.clear();
    let Answer { json: shown, value: task } = finished?;
    show::print(&task, &shown, json)?;
    if task.has_succeeded() { Ok(()) } else { Err(Error::Unsuccessful { id: task.id, status: task.status }) }
}

async fn finished(api: &Api, id: &str, bar: &Bar) -> Result<Answer<Task>, Error> {
    let seconds = if bar.is_visible() { SHORT_WAIT } else { LONG_WAIT };
    bar.show(&api.task(id, None).await?.value);
    loop {
        let answer = api.task(id, Some(seconds)).await?;
        if answer.value.is_finished() {
            return Ok(answer);
        }
        bar.show(&answer.value);
    }
}
