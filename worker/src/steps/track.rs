//! What is recorded of a run while it goes on: its handles in the claims, and the `running` notification.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::run_once::{Run, started};
use crate::error::TaskError;
use crate::runtimes::{JobPhase, RunHandle, RunOutput};

/// How long the `running` notification may take: the next turn in the runtime waits for it, too.
const NOTIFY_TIMEOUT: Duration = Duration::from_secs(5);

impl Run<'_> {
    /// Drives a run to its end. Its claim gets each handle, and knows when the runtime has started it and that it has failed.
    pub(super) async fn track(
        &self,
        running: impl Future<Output = Result<RunOutput, TaskError>>,
        mut handles: mpsc::UnboundedReceiver<RunHandle>,
    ) -> Result<RunOutput, TaskError> {
        let (claims, delivery) = (&self.attempt.worker.claims, &self.attempt.leased.delivery);
        let over = CancellationToken::new();
        let running = async {
            let result = running.await;
            over.cancel();
            result
        };
        let claiming = async {
            while let Some(handle) = handles.recv().await {
                claims.run_started(delivery, handle);
            }
        };
        let notifying = async {
            over.run_until_cancelled(started(&self.progress)).await;
            if matches!(self.progress.phase(), JobPhase::Running(_)) {
                claims.run_began(delivery);
                self.notify_running().await;
            }
        };
        let (result, (), ()) = tokio::join!(running, notifying, claiming);
        if result.is_err() {
            claims.run_ended(delivery);
        }
        result
    }

    /// The end of the run waits for this notification, so that it never arrives last; but not for long.
    async fn notify_running(&self) {
        let worker = self.attempt.worker;
        if worker.config.notify_when_running {
            let notifying = worker.results.notify_running(self.attempt.assignment);
            if timeout(NOTIFY_TIMEOUT, notifying).await.is_err() {
                tracing::warn!("running notification timed out");
            }
        }
    }
}
