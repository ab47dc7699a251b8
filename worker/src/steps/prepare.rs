//! Fetches the inputs that a task names, before its runtime is asked to do anything.

use shared_schema::{ErrorCode, Task, content};

use super::Worker;
use crate::error::TaskError;
use crate::inputs::Input;

impl Worker {
    /// All inputs of a task, in the order of their fields. An input that cannot be had fails the task: its address
    /// never reaches the runtime.
    pub(super) async fn prepare(&self, task: &Task) -> Result<Vec<Input>, TaskError> {
        let fields = content::media_fields(task.metadata.tasktype, &task.content);
        // Nothing of the runtime's work is lost yet, so a stop waits for no download.
        self.stopping
            .run_until_cancelled(self.fetcher.fetch_all(&fields))
            .await
            .unwrap_or_else(|| Err(TaskError::new(ErrorCode::ShuttingDown, "the worker is shutting down")))
    }
}
