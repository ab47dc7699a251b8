//! Cancels jobs in ComfyUI.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::client::{CallError, Client};
use super::handle::{Handle, is_ours};
use super::queue::Queued;

/// How long to make sure that a job has left the runtime.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_POLL_AFTER: Duration = Duration::from_millis(250);

/// Takes the jobs of one run out of the runtime, wherever they are, and makes sure of it: also those that its nodes queue
/// meanwhile. No other job is touched. Whether all are gone.
///
/// The interruption is repeated, since one that comes between a job's leaving the queue and its start is lost.
pub(super) async fn cancel_run(client: &Client, handle: &Handle) -> bool {
    let gone = async {
        loop {
            match cancel_all(client, |job| handle.owns(job)).await {
                Ok(true) | Err(CallError::Unreachable) => break,
                Ok(false) | Err(_) => sleep(FIRST_POLL_AFTER).await,
            }
        }
    };
    let is_gone = timeout(CANCEL_TIMEOUT, gone).await.is_ok();
    if !is_gone {
        tracing::warn!(prompt_id = handle.prompt_id, "the runtime still works on a job that was interrupted");
    }
    is_gone
}

/// Cancels the jobs of workers, except those of the clients in `keep`. Returns whether there was none.
pub(super) async fn interrupt_orphans(client: &Client, keep: &HashSet<String>) -> Result<bool, CallError> {
    cancel_all(client, |job| is_ours(job.client_id) && !keep.contains(job.client_id)).await
}

/// Cancels such jobs once: pending ones first, so that they do not start, then running ones. Returns whether there was
/// none.
async fn cancel_all(
    client: &Client,
    is_unwanted: impl Fn(&Queued<'_>) -> bool + Send,
) -> Result<bool, CallError> {
    let queue = client.queue().await?;
    let unwanted: Vec<Queued<'_>> = queue.jobs().filter(is_unwanted).collect();
    for job in &unwanted {
        client.cancel(*job).await?;
    }
    Ok(unwanted.is_empty())
}
