//! Acknowledges a delivery: the message is deleted or released, or abandoned if the lease is lost.

use std::time::Duration;

use super::LeasedMessage;
use crate::cloud::CloudError;
use crate::worker::Worker;
use crate::{retry, spans};

/// How long deletion is retried, while the message stays hidden: a redelivered message is notified again.
const DELETE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a worker that shuts down waits for the release of a message.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// What to do with a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AckAction {
    /// The task has reached its terminal state: delete the message.
    Delete,
    /// Make the message visible again after this long.
    Release(Duration),
    /// The lease is lost: never use the receipt handle again, since another worker may have the message.
    Abandon,
}

impl AckAction {
    /// Releases with a backoff that grows with the attempts. It is bounded, because an invisible message still counts as in
    /// flight and keeps a GPU node alive.
    pub(super) fn retry_after(attempts: u32) -> Self {
        Self::Release(retry::backoff(attempts, Duration::from_secs(1), Duration::from_secs(30)))
    }
}

impl Worker {
    /// Acknowledges a delivery. A failed call is only logged: the message is redelivered, and its `.out` file shows that the
    /// task is committed.
    pub(super) async fn acknowledge(&self, leased: LeasedMessage, action: AckAction) {
        let LeasedMessage { delivery, lease, traced, .. } = leased;
        let (queue, handle) = (&self.cloud.queue, &delivery.receipt_handle);
        let action = match action {
            AckAction::Release(_) if lease.lost().is_cancelled() => AckAction::Abandon,
            action => action,
        };
        let result = match action {
            AckAction::Delete => {
                let span = spans::acknowledging(&spans::DELETE, queue);
                let is_retryable = |error: &CloudError| error.is_retryable;
                let deleting = retry::until_timeout(DELETE_TIMEOUT, is_retryable, || queue.delete(handle));
                let deleted = lease.lost().run_until_cancelled(deleting).await.unwrap_or(Ok(()));
                span.result(&deleted, |error| error.code.as_str());
                deleted
            }
            AckAction::Release(delay) => {
                let span = spans::acknowledging(&spans::RELEASE, queue);
                traced.set("darkroom.outcome", "released");
                // A pending extension would hide the message again.
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
                    // The message reappears after its visibility timeout.
                    () = stopped => Ok(()),
                };
                drop(lease);
                span.result(&result, |error| error.code.as_str());
                result
            }
            AckAction::Abandon => {
                self.health.metrics().lease_lost();
                traced.set("darkroom.outcome", "lease_lost");
                Ok(())
            }
        };
        if let Err(error) = result {
            let action = if action == AckAction::Delete { "delete" } else { "release" };
            tracing::warn!(%error, action, "acknowledging failed, the message will be redelivered");
        }
        if let Some(run) = self.claims.run_of(&delivery) {
            // The history of a broken process distinguishes it from the next process, so it stays.
            if self.breaker.broken().is_none_or(|broken| broken.run.as_ref() != Some(&run)) {
                self.runtime.forget(&run).await;
            }
            self.delete_files_of(&run).await;
        }
        self.claims.remove(&delivery);
    }
}
