//! `GET /progress`: the progress of the current run, which the server does not identify.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::sleep;

use super::client::Client;
use crate::error::TaskError;
use crate::runtimes::poll_schedule::PollSchedule;
use crate::runtimes::{Position, Process, Progress};

/// Without the preview: making one costs the server time.
const PATH: &str = "progress?skip_current_image=true";

/// Between two runs a server seems idle: it collects its memory, and may load a model, before it reports that the next one has started.
const BETWEEN_RUNS: Duration = Duration::from_millis(500);

/// The longest pause between two polls of a run whose end would hide that somebody else interrupted it.
const BRIEF: Duration = Duration::from_secs(1);

/// The time stamp of a server that has not run anything yet.
const NEVER: &str = "0";

/// One answer of the server.
#[derive(PartialEq)]
struct RunnerStatus {
    share: f64,
    job: Value,
    job_count: Value,
    job_number: Value,
    step: Value,
    steps: Value,
    /// When the run began, which alone distinguishes one run from another.
    began: Value,
    /// Whether somebody interrupted or skipped it. Stays until the next run begins.
    is_cut_short: bool,
}

impl RunnerStatus {
    /// `None` where the server does not report it.
    async fn at(client: &Client) -> Result<Option<Self>, TaskError> {
        let Some(mut answer) = client.get_if_served(PATH).await? else { return Ok(None) };
        let share = answer["progress"].as_f64().unwrap_or_default();
        let mut state = answer["state"].take();
        let mut field = |name: &str| state.get_mut(name).map(Value::take).unwrap_or_default();
        let flags = ["interrupted", "skipped", "stopping_generation"];
        let is_cut_short = flags.map(|flag| field(flag) == true).contains(&true);
        Ok(Some(Self {
            share,
            job: field("job"),
            job_count: field("job_count"),
            job_number: field("job_no"),
            step: field("sampling_step"),
            steps: field("sampling_steps"),
            began: field("job_timestamp"),
            is_cut_short,
        }))
    }

    /// The sampling step, and how many there are.
    fn step(&self) -> Option<(u64, u64)> {
        Some((self.step.as_u64()?, self.steps.as_u64().filter(|steps| *steps > 0)?))
    }

    /// Whether something runs. The count is -1 until the run has reckoned it, and the share 0 as long.
    fn is_busy(&self) -> bool {
        let counts = |value: &Value| value.as_i64().is_some_and(|count| count != 0);
        let is_named = self.job.as_str().is_some_and(|name| !name.is_empty());
        is_named || counts(&self.job_count) || self.share > 0.0
    }
}

/// The runs that somebody else interrupted while a call was first in the queue, by the time stamps of the server.
#[derive(Debug, Default)]
pub(super) struct CutShort(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    cut_short: BTreeSet<String>,
    /// Whether the server reports at all.
    is_reported: bool,
}

impl CutShort {
    fn note(&self, status: &RunnerStatus) {
        let mut seen = self.seen();
        seen.is_reported = true;
        if status.is_cut_short {
            seen.cut_short.insert(status.began.as_str().unwrap_or_default().to_owned());
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls once more after the answer: an interrupted run is reported until the next run starts.
    pub(super) async fn poll_once_more(&self, client: &Client) {
        if let Ok(Some(status)) = RunnerStatus::at(client).await {
            self.note(&status);
        }
    }

    /// Whether the run that began then is one of them; any, where its answer does not say when it began.
    pub(super) fn holds(&self, began: Option<&str>) -> bool {
        let runs = &self.seen().cut_short;
        began.map_or(!runs.is_empty(), |began| runs.contains(began))
    }

    /// Whether the server is one that reports such things: runs of others cannot be cut short.
    pub(super) fn can_be_seen(&self) -> bool {
        self.seen().is_reported
    }
}

/// Whether the server has run anything since its start.
pub(super) async fn process(client: &Client) -> Process {
    if client.is_gone(PATH).await {
        return Process::Gone;
    }
    match RunnerStatus::at(client).await {
        Ok(Some(status)) if status.began == NEVER => Process::Fresh,
        _ => Process::Same,
    }
}

/// Whether nothing runs, as far as the server reports. One that has run before is asked twice.
pub(super) async fn is_idle(client: &Client) -> Result<bool, TaskError> {
    let Some(status) = RunnerStatus::at(client).await? else { return Ok(true) };
    if status.is_busy() || status.began == NEVER {
        return Ok(!status.is_busy());
    }
    sleep(BETWEEN_RUNS).await;
    Ok(RunnerStatus::at(client).await?.is_none_or(|status| !status.is_busy()))
}

/// Reports the progress of the run that the server works on, until dropped. Whatever moves is a sign of life, also where the share
/// stays or restarts, as between the passes and stages of a run.
///
/// An interruption is reported until the next batch, or the next run, starts. So a run of several batches, and one behind which
/// another call is among those `posted`, is polled more often; for others it is still reported after the answer.
pub(super) async fn follow(
    client: &Client,
    progress: &Progress,
    stuck_after: Duration,
    cut_short: &CutShort,
    has_batches: bool,
    mut posted: watch::Receiver<usize>,
) -> Infallible {
    let (mut last, mut farthest) = (None, 0.0);
    let schedule = PollSchedule::new(stuck_after);
    loop {
        tokio::select! {
            () = schedule.wait() => {}
            () = async {
                posted.wait_for(|posted| has_batches || *posted > 1).await.ok();
                schedule.wait_at_most(BRIEF).await;
            } => {}
        }
        // A server that reports nothing shows no progress.
        if let Ok(Some(status)) = RunnerStatus::at(client).await
            && status.is_busy()
            && last.as_ref() != Some(&status)
        {
            cut_short.note(&status);
            progress.set_position(Position { step: status.step(), node: None });
            if status.share > farthest {
                farthest = status.share;
                progress.advance_to(farthest);
            } else {
                progress.heartbeat();
            }
            last = Some(status);
        }
    }
}
