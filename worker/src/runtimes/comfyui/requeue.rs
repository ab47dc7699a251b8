//! Runs of more than one job: nodes that work in batches, such as VideoHelperSuite's `VHS_BatchManager`, put their workflow
//! into the queue again under another id, each time before the job that they run in has ended. The queue copies the client
//! id, which is unguessable and belongs to one attempt: whatever has it is a part of the run.

use std::time::Duration;

use tokio::time::sleep;

use super::client::{CallError, Client};
use super::handle::Handle;

/// How often to ask the queue before its answer is done without.
const TRIES: u32 = 3;
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How many entries of the history to look through, which hold whole workflows: enough for a job that began and ended between
/// two looks.
const LOOK_BACK: usize = 4;
/// The same where the socket may have missed several.
const LOOK_FAR_BACK: usize = 32;

/// The jobs of the run that the handle does not have yet, in order, once all that it has have ended: of those that the
/// socket heard `begun`, of the history, and of the queue.
///
/// Results that are there are worth more than the certainty that there will be no others: a queue that cannot be asked
/// counts as empty.
pub(super) async fn further_jobs(
    client: &Client,
    handle: &Handle,
    begun: &[String],
    is_partly_deaf: bool,
) -> Vec<String> {
    let look_back = if is_partly_deaf { LOOK_FAR_BACK } else { LOOK_BACK };
    let mut jobs = begun.to_vec();
    let mut tries = 1;
    loop {
        match look(client, handle, look_back).await {
            Ok(found) => break jobs.extend(found),
            Err(_) if tries < TRIES => sleep(TRY_AGAIN_AFTER).await,
            Err(error) => {
                tracing::warn!(%error, "whether the run goes on as another job is not known");
                break;
            }
        }
        tries += 1;
    }
    let mut further: Vec<String> = Vec::new();
    for job in jobs {
        if !handle.jobs().any(|known| *known == job) && !further.contains(&job) {
            further.push(job);
        }
    }
    further
}

/// The jobs of the run: those that ended lately, what runs, and what waits. The queue is asked first, so that no job leaves it
/// unseen for the history.
async fn look(client: &Client, handle: &Handle, look_back: usize) -> Result<Vec<String>, CallError> {
    let queue = client.queue().await?;
    let mut jobs = ended(client, handle, look_back).await?;
    let mut queued: Vec<_> = queue.jobs().filter(|job| handle.owns(job)).collect();
    queued.sort_by_key(|job| !job.runs);
    jobs.extend(queued.into_iter().map(|job| job.prompt_id.to_owned()));
    Ok(jobs)
}

async fn ended(client: &Client, handle: &Handle, look_back: usize) -> Result<Vec<String>, CallError> {
    let past = client.ended_lately(look_back).await?;
    let jobs = past.values().filter_map(|past| Some((past.prompt.age(), past.prompt.names(false)?)));
    let mut jobs: Vec<_> = jobs.filter(|(_, job)| handle.owns(job)).collect();
    jobs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    Ok(jobs.into_iter().map(|(_, job)| job.prompt_id.to_owned()).collect())
}
