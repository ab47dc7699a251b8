//! The three ways a delivery ends, and the fourth: somebody else has it.

use std::time::Duration;

use super::Worker;
use crate::cloud::{CloudError, Delivery, Lease};
use crate::retry;

/// How long deleting is tried again, while the message stays hidden: a message that comes back costs a notification.
const DELETE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a worker that is to stop waits for the queue to take a message back.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a delivery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckAction {
    /// The task has its one terminal state: the message is deleted.
    Delete,
    /// The message is given back and becomes visible after this long.
    Release(Duration),
    /// The lease is lost: the handle is never used again, since it could hurt whoever has the message now.
    Abandon,
}

impl AckAction {
    /// Given back with a wait that grows with the attempts. Bounded, because a message that waits still counts as in
    /// flight and keeps a GPU alive.
    pub(super) fn retry_after(attempts: u32) -> Self {
        Self::Release(retry::backoff(attempts, Duration::from_secs(1), Duration::from_secs(30)))
    }
}

impl Worker {
    /// Ends a delivery. A call that fails is only logged: the message comes back, and its `.out` says it was done.
    pub(super) async fn end(&self, delivery: &Delivery, lease: Lease, ending: AckAction) {
        let (queue, handle) = (&self.cloud.queue, &delivery.receipt_handle);
        let ending = match ending {
            AckAction::Release(_) if lease.lost().is_cancelled() => AckAction::Abandon,
            ending => ending,
        };
        let result = match ending {
            AckAction::Delete => {
                let is_retryable = |error: &CloudError| error.is_retryable;
                let deleting = retry::until_timeout(DELETE_TIMEOUT, is_retryable, || queue.delete(handle));
                lease.lost().run_until_cancelled(deleting).await.unwrap_or(Ok(()))
            }
            AckAction::Release(delay) => {
                // An extension that is on its way would hide the message again.
                lease.stop_extending();
                if self.stopping.is_cancelled() {
                    self.giving_back.cancel();
                }
                let stopped = async {
                    self.stopping.cancelled().await;
                    tokio::time::sleep(RELEASE_TIMEOUT).await;
                };
                let result = tokio::select! {
                    result = lease.hold(queue.release(handle, delay)) => result.unwrap_or(Ok(())),
                    // The message comes back by its visibility timeout.
                    () = stopped => Ok(()),
                };
                drop(lease);
                result
            }
            AckAction::Abandon => {
                self.health.metrics().lease_lost();
                Ok(())
            }
        };
        if let Err(error) = result {
            tracing::warn!(%error, ?ending, "the queue did not take the ending, the message comes back");
        }
        if let Some(run) = self.claims.run_of(delivery) {
            // What a broken process knows of a run distinguishes it from the next process.
            if self.breaker.broken().is_none_or(|broken| broken.run.as_ref() != Some(&run)) {
                self.runtime.forget(&run).await;
            }
            self.delete_files_of(&run).await;
        }
        self.claims.remove(delivery);
    }
}
