//! Recovers the messages that the previous process held when it died.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::claims::Claim;
use crate::cloud::lease;
use crate::pipeline::Staged;
use crate::runtimes::RunHandle;
use crate::steps::AdoptedRun;
use crate::steps::journal::Journal;
use crate::worker::Worker;

impl Worker {
    /// Recovers the claims of the previous process: a run that the runtime still knows is adopted, other
    /// messages are released at once. Orphaned runs are interrupted before the runtime gets a job.
    pub(crate) fn recover(self: &Arc<Self>, left: Vec<Claim>, tasks: &mut JoinSet<()>) {
        for claim in left {
            let worker = Arc::clone(self);
            match claim.run_to_adopt().cloned() {
                Some(run) => {
                    self.claims.run_adopted(&claim.delivery);
                    tasks.spawn(async move { worker.take_up(claim, run).await });
                }
                None => {
                    self.claims.run_ended(&claim.delivery);
                    tasks.spawn(async move { worker.give_back_left(claim).await });
                }
            }
        }
    }

    /// Adopts a run, if the queue confirms the lease of its message.
    async fn take_up(self: Arc<Self>, claim: Claim, run: RunHandle) {
        let (queue, timeout) = (&self.cloud.queue, self.config.visibility_timeout());
        match lease::confirmed(queue, &claim.delivery, timeout, self.surely_hidden_until(&claim)).await {
            Some(delivery) => {
                let adopted = AdoptedRun { run, is_attempt: claim.is_attempt() };
                self.process(self.lease(delivery, Some(adopted)), Staged::without_permit()).await;
            }
            None => {
                let message_id = &claim.delivery.message_id;
                tracing::warn!(runtime = %self.config.runtime_name, message_id, "the lease of the previous process has expired, cancelling its run");
                self.health.metrics().lease_lost();
                self.claims.remove(&claim.delivery);
                // Probes interrupt the orphaned run before the runtime gets another job.
                self.set_runtime_ready(false);
            }
        }
    }

    /// Releases a message before its lease, which is not extended, expires. It is charged only if the process may have died of it.
    async fn give_back_left(self: Arc<Self>, claim: Claim) {
        let (delivery, message_id) = (&claim.delivery, &claim.delivery.message_id);
        let giving_back = async {
            if !claim.is_attempt() {
                let store = &self.cloud.store;
                let journal = Journal::of(store, delivery, &self.stopping).await;
                journal.record_give_back(store, delivery).await;
            }
            self.cloud.queue.release(&delivery.receipt_handle, Duration::ZERO).await
        };
        let left = self.surely_hidden_until(&claim).duration_since(SystemTime::now()).unwrap_or_default();
        if !left.is_zero() {
            match timeout(left, giving_back).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, message_id, "releasing a message of the previous process failed, it will be redelivered");
                }
                Err(_) => {
                    tracing::warn!(
                        message_id,
                        "the lease of the previous process has expired, its message will be redelivered"
                    );
                }
            }
        }
        self.claims.remove(delivery);
    }

    /// Until when the lease of a message holds for certain: a tenth of the visibility timeout is the margin for clocks and calls.
    fn surely_hidden_until(&self, claim: &Claim) -> SystemTime {
        let margin = self.config.visibility_timeout().mul_f64(0.1);
        claim.hidden_until.checked_sub(margin).unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
