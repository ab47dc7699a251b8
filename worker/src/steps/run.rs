//! Runs a task. A task that ran out of memory is run once more, with the runtime's memory freed.

use std::sync::Arc;
use std::time::Instant;

use shared_schema::{ErrorCode, Task};

use super::run_once::{Run, Start};
use super::{Attempt, AttemptError};
use crate::breaker::KnownGood;
use crate::inputs::Input;
use crate::pipeline::Turn;
use crate::runtimes::RunOutput;

/// A run that succeeded.
pub(super) struct RunResult {
    pub(super) output: RunOutput,
    /// The turn, which it still holds.
    pub(super) turn: Turn,
    /// When the runtime started the job.
    pub(super) began: Instant,
}

impl Attempt<'_> {
    /// Runs the task, or follows the run that the previous process submitted.
    pub(super) async fn run(
        &self,
        task: &Arc<Task>,
        inputs: Vec<Input>,
        mut turn: Turn,
    ) -> Result<RunResult, AttemptError> {
        let worker = self.worker;
        if let Some(adopted) = &self.leased.adopted {
            tracing::info!("adopting the run of the previous process");
            let run = Run::new(self, task, Start::Adopted(&adopted.run));
            let (output, began) = run.execute(inputs, &mut turn).await?;
            worker.breaker.succeeded(began.into(), None);
            return Ok(RunResult { output, turn, began });
        }
        let first = Run::new(self, task, Start::New).execute(inputs.clone(), &mut turn).await;
        let (output, began) = match first {
            Err(AttemptError::Failed(error)) if error.code == ErrorCode::OutOfMemory => {
                self.run_with_freed_memory(task, inputs.clone(), &mut turn).await?
            }
            result => result?,
        };
        let good = KnownGood::new(task, inputs, began.elapsed());
        if worker.breaker.succeeded(began.into(), Some(good.clone()))
            && let Some(task) = good.saved()
        {
            worker.claims.set_known_good(task);
        }
        Ok(RunResult { output, turn, began })
    }

    async fn run_with_freed_memory(
        &self,
        task: &Arc<Task>,
        inputs: Vec<Input>,
        turn: &mut Turn,
    ) -> Result<(RunOutput, Instant), AttemptError> {
        let worker = self.worker;
        tracing::warn!(error.code = %ErrorCode::OutOfMemory, "freeing the runtime's memory and retrying once");
        if let Some(first) = worker.claims.run_of(&self.leased.delivery) {
            worker.runtime.forget(&first).await;
            worker.delete_files_of(&first).await;
        }
        worker.runtime.free_memory().await;
        match Run::new(self, task, Start::Retry).execute(inputs, turn).await {
            Err(AttemptError::Failed(error)) if error.code == ErrorCode::OutOfMemory => {
                Err(error.finally().into())
            }
            result => result,
        }
    }
}
