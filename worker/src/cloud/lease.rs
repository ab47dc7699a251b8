//! Keeps a delivery hidden from other workers for as long as its task is worked on.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Queue;

/// The right to work on one delivery. Dropping it stops the extension and nothing else: the message comes back when its
/// visibility timeout is over.
#[derive(Debug)]
pub struct Lease {
    lost: CancellationToken,
    keeper: JoinHandle<()>,
}

impl Lease {
    /// Extends the visibility of a delivery, received just now, three times per timeout until the lease is dropped.
    pub fn keep(queue: Queue, receipt_handle: String, timeout: Duration) -> Self {
        let lost = CancellationToken::new();
        let keeper = tokio::spawn(extend(queue, receipt_handle, timeout, lost.clone()));
        Self { lost, keeper }
    }

    /// Cancelled when the lease can no longer be taken for granted: another worker may have the message.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

async fn extend(queue: Queue, receipt_handle: String, timeout: Duration, lost: CancellationToken) {
    let mut confirmed = Instant::now();
    loop {
        let age = confirmed.elapsed();
        let next = if age < timeout / 3 { timeout / 3 - age } else { Duration::from_secs(1) };
        tokio::time::sleep(next).await;

        let asked = Instant::now();
        match queue.extend(&receipt_handle, timeout).await {
            Ok(()) => confirmed = asked,
            Err(error) if error.is_retryable && confirmed.elapsed() < timeout.mul_f64(0.9) => {
                tracing::warn!(error.code = %error.code, "lease not extended, trying again");
            }
            Err(error) => {
                tracing::error!(error.code = %error.code, "lease lost");
                lost.cancel();
                return;
            }
        }
    }
}
