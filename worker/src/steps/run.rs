//! Runs a task under its bounds: the run's own timeout, the lease, and the end of the worker.

use std::sync::Arc;
use std::time::Duration;

use shared_schema::{ErrorCode, Task};
use tokio_util::sync::CancellationToken;

use super::{Stop, Worker};
use crate::cloud::Lease;
use crate::error::TaskError;
use crate::inputs::Input;
use crate::runtimes::{Job, RunOutput};

/// What ended a run before it was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Timeout,
    LeaseLost,
    Drained,
}

impl Worker {
    /// The output of the run. When a bound is hit, the runtime is interrupted first, so that it is free afterwards.
    pub(super) async fn run(
        &self,
        task: Arc<Task>,
        inputs: Vec<Input>,
        lease: &Lease,
    ) -> Result<RunOutput, Stop> {
        let stop = CancellationToken::new();
        let running = self.runtime.run(Job { stop: stop.clone(), ..Job::new(task, inputs) });
        tokio::pin!(running);

        let bound = tokio::select! {
            result = &mut running => return Ok(result?),
            bound = self.bound(lease) => bound,
        };
        tracing::warn!(bound = ?bound, "interrupting the run");
        stop.cancel();
        let result = running.await;
        match (bound, result) {
            (Bound::LeaseLost, _) => Err(Stop::LeaseLost),
            // It was over before the interruption reached it: nothing is thrown away.
            (_, Ok(output)) => Ok(output),
            (Bound::Drained, Err(_)) => {
                Err(TaskError::new(ErrorCode::ShuttingDown, "the worker is shutting down").into())
            }
            (Bound::Timeout, Err(_)) => {
                let seconds = self.config.run_timeout_seconds;
                Err(TaskError::new(ErrorCode::RunTimeout, format!("the run took more than {seconds} s"))
                    .into())
            }
        }
    }

    async fn bound(&self, lease: &Lease) -> Bound {
        let drained = async {
            self.stopping.cancelled().await;
            tokio::time::sleep(Duration::from_secs(self.config.drain_seconds)).await;
        };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(self.config.run_timeout_seconds)) => Bound::Timeout,
            () = lease.lost().cancelled() => Bound::LeaseLost,
            () = drained => Bound::Drained,
        }
    }
}
