//! Runs of more than one job: nodes that work in batches, such as VideoHelperSuite's `VHS_BatchManager`, put their workflow
//! into the queue again under another id, each time before the job that they run in has finished. The queue copies the client
//! id, which is unguessable and belongs to one attempt: whatever has it is a part of the run.

use super::client::{CallError, Client};
use super::handle::Handle;
use super::retry::retried;

/// How many entries of the history to scan, which hold whole workflows: enough for a job that began and finished between
/// two polls.
const SHORT_HISTORY: usize = 4;
/// The same where the socket may have missed several.
const LONG_HISTORY: usize = 32;

/// The jobs of the run that wait or run: first the one that runs.
///
/// Results that are there are worth more than the certainty that there will be no others: a queue that cannot be asked
/// counts as empty.
pub(super) async fn queued_jobs(client: &Client, handle: &Handle) -> Vec<String> {
    let queue = match retried(|| client.queue()).await {
        Ok(queue) => queue,
        Err(error) => return none_known(&error),
    };
    let mut jobs: Vec<_> = queue.jobs().filter(|job| handle.owns(job)).collect();
    jobs.sort_by_key(|job| !job.runs);
    jobs.into_iter().map(|job| job.prompt_id.to_owned()).collect()
}

/// The jobs of the run that finished lately, in order. A history that cannot be asked counts as empty.
pub(super) async fn finished_jobs(client: &Client, handle: &Handle, may_be_many: bool) -> Vec<String> {
    let look_back = if may_be_many { LONG_HISTORY } else { SHORT_HISTORY };
    let past = match retried(|| client.recently_finished(look_back)).await {
        Ok(past) => past,
        Err(error) => return none_known(&error),
    };
    let jobs = past.values().filter_map(|past| Some((past.prompt.age(), past.prompt.names(false)?)));
    let mut jobs: Vec<_> = jobs.filter(|(_, job)| handle.owns(job)).collect();
    jobs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    jobs.into_iter().map(|(_, job)| job.prompt_id.to_owned()).collect()
}

fn none_known(error: &CallError) -> Vec<String> {
    tracing::warn!(%error, "looking up further jobs of the run failed");
    Vec::new()
}

/// Those of the jobs that the handle does not have, each once and in order.
pub(super) fn unknown_to(handle: &Handle, jobs: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut unknown: Vec<String> = Vec::new();
    for job in jobs {
        if !handle.jobs().any(|known| *known == job) && !unknown.contains(&job) {
            unknown.push(job);
        }
    }
    unknown
}
