//! Submits the tasks, then waits for each of them.

use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout_at};
use uuid::Uuid;

use super::report::Report;
use crate::api::{self, Api, Task};
use crate::error::Error;
use crate::submit::submit;

/// The seconds that one request waits for the end of a task.
const WAIT: u64 = 20;

/// What a test does.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The body of each submission.
    pub(super) body: &'a Value,
    pub(super) tasks: u32,
    /// How many requests are in flight at once.
    pub(super) concurrency: usize,
    /// The time between two submissions.
    pub(super) gap: Duration,
    /// How long all of it may take.
    pub(super) limit: Duration,
}

/// Runs the test until every task has finished, or the time is over. The report has whatever has finished by then.
pub(super) async fn run(api: &Api, plan: &Plan<'_>, report: &mut Report) {
    let start = Instant::now();
    let deadline = start + plan.limit;
    let submitting = (0..plan.tasks).map(|n| async move {
        sleep_until(start + plan.gap * n).await;
        let sent = Instant::now();
        let submitted = submit(api, plan.body, &Uuid::new_v4().to_string()).await;
        (submitted, sent.elapsed())
    });
    let mut submitting = stream::iter(submitting).buffer_unordered(plan.concurrency);
    let mut ids = Vec::new();
    while let Ok(Some((submitted, took))) = timeout_at(deadline, submitting.next()).await {
        match submitted {
            Ok(accepted) => {
                report.accepted(took);
                ids.push(accepted.value.id);
            }
            Err(Error::Api(error)) => report.refused(&error),
            Err(_) => {}
        }
    }
    let waiting = ids.iter().map(|id| finished(api, id));
    let mut waiting = stream::iter(waiting).buffer_unordered(plan.concurrency);
    while let Ok(Some(finished)) = timeout_at(deadline, waiting.next()).await {
        match finished {
            Ok(task) => report.finished(&task),
            Err(error) => report.lost(&error),
        }
    }
}

async fn finished(api: &Api, id: &str) -> Result<Task, api::Error> {
    loop {
        let task = api.task(id, Some(WAIT)).await?.value;
        if task.is_finished() {
            return Ok(task);
        }
    }
}
