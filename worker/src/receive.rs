//! Takes messages just in time, and hands each to a task of its own.

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

/// How often the loop says that it lives while there is no place for another task.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(60);

// However slow SQS is, the loop comes round in time.
const MAX_ROUND: Duration =
    HEARTBEAT_INTERVAL.saturating_add(MAX_WAIT).saturating_add(RESPONSE_TIMEOUT).saturating_add(MAX_PAUSE);
const _: () = assert!(MAX_ROUND.as_secs() < HEARTBEAT_TIMEOUT.as_secs());

/// A long poll that is underway.
type Poll = Pin<Box<dyn Future<Output = Result<Option<Delivery>, CloudError>> + Send>>;

impl Worker {
    /// Receives until the worker is to stop. Returns the long poll that was underway then: it may yet bring a message.
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
            // What has ended is not needed any more.
            while tasks.try_join_next().is_some() {}
        }
    }

    /// A place for the next message. Waiting for one is no standstill. After a crash of the process before this one, one
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

    /// Gives back what the last poll brings, at no cost, for as long as other tasks are finished. Then it is cut off, since
    /// waiting for its end would cost up to 20 s of grace; and so it is before a task is given back, since it would take
    /// that one again. A message that is handed out in that moment comes back by its visibility timeout.
    pub(crate) async fn release_last(self: &Arc<Self>, poll: Option<Poll>) {
        let Some(poll) = poll else { return pending().await };
        if let Some(Ok(Some(delivery))) = self.giving_back.run_until_cancelled(poll).await {
            // The worker is stopping: the task goes back before anything is done for it.
            Box::pin(self.process(self.lease(delivery, None), Staged::without_permit())).await;
        }
    }
}
