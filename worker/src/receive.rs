//! Receives messages just in time, and spawns a task for each.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::cloud::queue::{MAX_WAIT, RESPONSE_TIMEOUT};
use crate::cloud::{CloudError, Delivery};
use crate::health::{HEARTBEAT_TIMEOUT, Stage};
use crate::pipeline::Staged;
use crate::retry;
use crate::worker::Worker;

/// The longest pause after a poll that failed.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How often the loop sends a heartbeat while there is no permit for another task.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);

// However slow SQS is, the loop completes a round in time.
const MAX_ROUND: Duration =
    HEARTBEAT_INTERVAL.saturating_add(MAX_WAIT).saturating_add(RESPONSE_TIMEOUT).saturating_add(MAX_PAUSE);
const _: () = assert!(MAX_ROUND.as_secs() < HEARTBEAT_TIMEOUT.as_secs());

/// A pending long poll.
type Poll = Pin<Box<dyn Future<Output = Result<Option<Delivery>, CloudError>> + Send>>;

impl Worker {
    /// Receives until graceful shutdown. Returns the long poll that was pending then: it may still receive a message.
    pub(crate) async fn receive(self: &Arc<Self>, tasks: &mut JoinSet<()>) -> Option<Poll> {
        let mut failures = 0;
        loop {
            self.health.heartbeat();
            let mut place = self.stopping.run_until_cancelled(self.next_place(tasks)).await?;
            if self.stopping.is_cancelled() {
                return None;
            }
            let (clock, mut poll) = (Instant::now(), self.poll());
            let received = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return Some(poll),
                received = &mut poll => received,
            };
            match received {
                Ok(delivery) => {
                    failures = 0;
                    self.health.metrics().stage(Stage::Receive, clock.elapsed());
                    if let Some(delivery) = delivery {
                        place.received();
                        let (worker, leased) = (Arc::clone(self), self.lease(delivery, None));
                        tasks.spawn(async move { worker.process(leased, place).await });
                    }
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "receive failed, retrying");
                    let pause = retry::backoff(failures, Duration::from_millis(500), MAX_PAUSE);
                    self.stopping.run_until_cancelled(tokio::time::sleep(pause)).await?;
                }
            }
            // Finished tasks are dropped.
            while tasks.try_join_next().is_some() {}
        }
    }

    /// A permit for the next message. The loop sends heartbeats while it waits. After a crash of the previous process, one
    /// message is taken at a time until a task succeeds: if that kills the worker again, no other task is charged for it.
    async fn next_place(&self, tasks: &mut JoinSet<()>) -> Staged {
        let place = async {
            if !self.config.pipeline || self.claims.after_crash() {
                while tasks.join_next().await.is_some() {}
            }
            self.pipeline.reserve().await
        };
        tokio::pin!(place);
        loop {
            match tokio::time::timeout(HEARTBEAT_INTERVAL, &mut place).await {
                Ok(place) => return place,
                Err(_) => self.health.heartbeat(),
            }
        }
    }

    fn poll(&self) -> Poll {
        let (queue, wait, visibility) =
            (self.cloud.queue.clone(), self.config.receive_wait(), self.config.visibility_timeout());
        Box::pin(async move { queue.receive(wait, visibility).await })
    }

    /// Releases what the last poll receives, uncharged, while other tasks finish. Then it is cancelled, since
    /// waiting for its end would cost up to 20 s of the grace period; and so it is before a task is released, since it would
    /// receive that one again. A message that is received in that moment reappears after its visibility timeout.
    pub(crate) async fn release_last(self: &Arc<Self>, poll: Option<Poll>) {
        let Some(poll) = poll else { return pending().await };
        if let Some(Ok(Some(delivery))) = self.giving_back.run_until_cancelled(poll).await {
            // The worker is stopping: the task is released at once.
            Box::pin(self.process(self.lease(delivery, None), Staged::without_permit())).await;
        }
    }
}
