//! Metrics for CloudWatch: sent once a minute, and once more at the end.

use std::collections::VecDeque;
use std::sync::Arc;

use task_metrics::Document;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::cloud::MetricLog;
use crate::worker::Worker;

/// Reports that wait at most while CloudWatch cannot be reached, each a few kilobytes: an hour of them. The oldest are dropped.
const MAX_WAITING: usize = 60;

impl Worker {
    /// Reports until `stopping`, and then the rest. Does nothing if no log group is configured. A call can take minutes if CloudWatch
    /// does not answer: the caller bounds the wait for the end, and what is not sent by then is lost.
    pub(crate) async fn report_metrics(self: Arc<Self>, stopping: CancellationToken) {
        let Some(log) = &self.cloud.metric_log else { return };
        let mut waiting = Waiting::default();
        let mut ticks = interval(self.config.metrics_interval());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is at once.
        ticks.tick().await;
        while stopping.run_until_cancelled(ticks.tick()).await.is_some() {
            waiting.add(self.health.report());
            waiting.send(log).await;
        }
        waiting.add(self.health.report());
        waiting.send(log).await;
    }
}

/// Reports that are not sent yet.
#[derive(Default)]
struct Waiting {
    documents: VecDeque<Document>,
    has_failed: bool,
}

impl Waiting {
    fn add(&mut self, document: Option<Document>) {
        self.documents.extend(document);
        while self.documents.len() > MAX_WAITING {
            self.documents.pop_front();
        }
    }

    /// A failure is logged once, until sending works again.
    async fn send(&mut self, log: &MetricLog) {
        match log.put(self.documents.make_contiguous()).await {
            Ok(()) => {
                self.documents.clear();
                self.has_failed = false;
            }
            Err(error) if !self.has_failed => {
                tracing::warn!(%error, "metrics cannot be sent to cloudwatch, they are kept for an hour");
                self.has_failed = true;
            }
            Err(_) => {}
        }
    }
}
