//! The three ways a delivery ends, and the fourth: somebody else has it.

use std::time::Duration;

use shared_schema::{ErrorCode, keys};

use super::Worker;
use super::read::Cause;
use crate::cloud::Delivery;
use crate::retry;

/// How a delivery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The task has its one terminal state: the message is deleted.
    Done,
    /// The message is given back and becomes visible after this long.
    Retry(Duration),
    /// The lease is lost: the handle is never used again, since it could hurt whoever has the message now.
    Abandoned,
}

impl Ending {
    /// Given back with a wait that grows with the attempts. Bounded, because a message that waits still counts as in
    /// flight and keeps a GPU alive.
    pub(super) fn retry_after(attempts: u32) -> Self {
        Self::Retry(retry::backoff(attempts, Duration::from_secs(1), Duration::from_secs(30)))
    }
}

impl Worker {
    /// Ends a delivery. A call that fails is only logged: the message comes back, and its `.out` says it was done.
    pub(super) async fn end(&self, delivery: &Delivery, ending: Ending) {
        let queue = &self.cloud.queue;
        let result = match ending {
            Ending::Done => queue.delete(&delivery.receipt_handle).await,
            Ending::Retry(delay) => queue.release(&delivery.receipt_handle, delay).await,
            Ending::Abandoned => Ok(()),
        };
        if let Err(error) = result {
            tracing::warn!(%error, ?ending, "the queue did not take the ending, the message comes back");
        }
    }

    /// Keeps what cannot be read and deletes it from the queue, where it would come back for ever.
    pub(super) async fn keep_unreadable(&self, delivery: &Delivery, cause: Cause) -> Option<ErrorCode> {
        let key = keys::unreadable(&delivery.message_id);
        let ending = match self.keep(&key, delivery, cause).await {
            Ok(()) => {
                tracing::error!(
                    runtime = %self.config.runtime_name,
                    error.code = %ErrorCode::UnreadableMessage,
                    message_id = %delivery.message_id,
                    kept_at = %keys::s3_uri(self.cloud.store.bucket(), &key),
                    %cause,
                    "message cannot be read, kept for an operator"
                );
                Ending::Done
            }
            Err(error) => {
                tracing::error!(error.code = %error.code, "unreadable message could not be kept, will be retried");
                Ending::retry_after(delivery.receive_count)
            }
        };
        self.end(delivery, ending).await;
        Some(ErrorCode::UnreadableMessage)
    }
}
