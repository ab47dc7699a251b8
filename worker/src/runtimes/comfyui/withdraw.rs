//! Taking jobs out of ComfyUI that nobody wants any more.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::client::{CallError, Client};
use super::queue::Whereabouts;

/// How long to make sure that a job has left the runtime.
const WITHDRAW_WITHIN: Duration = Duration::from_secs(10);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// Takes one job out of the runtime, wherever it is, and makes sure of it. No other job is touched. Whether it is gone.
///
/// The interrupt is repeated, since one that comes between a job's leaving the queue and its start is lost. It is sent only
/// while the job is seen to run, since older servers interrupt whatever runs.
pub(super) async fn withdraw(client: &Client, prompt_id: &str) -> bool {
    let gone = async {
        loop {
            match try_to_withdraw(client, prompt_id).await {
                Ok(true) | Err(CallError::Unreachable) => break,
                Ok(false) | Err(_) => sleep(LOOK_AGAIN_AFTER).await,
            }
        }
    };
    let is_gone = timeout(WITHDRAW_WITHIN, gone).await.is_ok();
    if !is_gone {
        tracing::warn!(prompt_id, "the runtime still works on a job that was interrupted");
    }
    is_gone
}

/// Whether the job is gone.
async fn try_to_withdraw(client: &Client, prompt_id: &str) -> Result<bool, CallError> {
    client.delete_pending(&[prompt_id]).await?;
    match client.find(prompt_id).await? {
        Whereabouts::Finished(_) | Whereabouts::Nowhere => Ok(true),
        Whereabouts::Pending | Whereabouts::Stalled => Ok(false),
        Whereabouts::Running => client.interrupt(prompt_id).await.map(|()| false),
    }
}

/// One look for jobs of a worker beside those in `keep`: what waits is deleted, so that it does not begin, and then what
/// runs is interrupted. Whether there was none.
pub(super) async fn clear(client: &Client, keep: &HashSet<String>) -> Result<bool, CallError> {
    let queue = client.queue().await?;
    let unwanted = |prompt_id: &&str| !keep.contains(*prompt_id);
    let pending: Vec<&str> = queue.our_pending().filter(unwanted).collect();
    let running: Vec<&str> = queue.our_running().filter(unwanted).collect();
    if !pending.is_empty() {
        client.delete_pending(&pending).await?;
    }
    for prompt_id in &running {
        client.interrupt(prompt_id).await?;
    }
    Ok(pending.is_empty() && running.is_empty())
}
